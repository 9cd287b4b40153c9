//! Sigma's strings: `*`, `?` and the backslash that escapes them; and matching them.

/// One part of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// These characters.
    Text(String),
    /// `*`: any characters, also none.
    Any,
    /// `?`: one character.
    One,
}

/// A string with wildcards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pattern(pub(crate) Vec<Part>);

impl Pattern {
    /// Reads Sigma's notation: a backslash before `*`, `?` or a backslash makes it literal; any
    /// other backslash stands for itself.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parts = Self::default();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.peek() {
                    Some('*' | '?' | '\\') => parts.push_char(chars.next().unwrap_or('\\')),
                    _ => parts.push_char('\\'),
                },
                '*' => parts.push_any(),
                '?' => parts.0.push(Part::One),
                _ => parts.push_char(c),
            }
        }
        parts
    }

    /// A pattern without wildcards.
    pub(crate) fn literal(text: &str) -> Self {
        Self(if text.is_empty() { Vec::new() } else { vec![Part::Text(text.to_owned())] })
    }

    fn push_char(&mut self, c: char) {
        if let Some(Part::Text(text)) = self.0.last_mut() {
            text.push(c);
        } else {
            self.0.push(Part::Text(c.to_string()));
        }
    }

    /// Adds `*` at the end, unless one is there.
    pub(crate) fn push_any(&mut self) {
        if self.0.last() != Some(&Part::Any) {
            self.0.push(Part::Any);
        }
    }

    /// Adds `*` at the beginning, unless one is there.
    pub(crate) fn push_any_front(&mut self) {
        if self.0.first() != Some(&Part::Any) {
            self.0.insert(0, Part::Any);
        }
    }

    /// The text, when there is no wildcard in it.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The same pattern with its letters lower-cased.
    pub(crate) fn lowered(&self) -> Self {
        let lower = |part: &Part| match part {
            Part::Text(text) => Part::Text(lower(text)),
            other => other.clone(),
        };
        Self(self.0.iter().map(lower).collect())
    }

    /// Whether the whole of `text` is matched. Time is bounded by length of text × pattern.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut chunks = self.0.split(|part| *part == Part::Any);
        let Some(first) = chunks.next() else { return text.is_empty() };
        let Some(mut at) = chunk_at(first, text, 0) else { return false };
        let Some(mut chunk) = chunks.next() else { return at == text.len() };
        for next in chunks {
            match find(chunk, text, at, |_| true) {
                Some(end) => at = end,
                None => return false,
            }
            chunk = next;
        }
        find(chunk, text, at, |end| end == text.len()).is_some()
    }
}

/// `text` in lower case, character by character: the same in rules and in values.
pub(crate) fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Matches `chunk` (without `*`) at `from`; the end of the match.
fn chunk_at(chunk: &[Part], text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    for part in chunk {
        let rest = text.get(at..)?;
        at += match part {
            Part::Text(literal) => rest.starts_with(literal.as_str()).then_some(literal.len())?,
            Part::One => rest.chars().next()?.len_utf8(),
            Part::Any => 0,
        };
    }
    Some(at)
}

/// The first match of `chunk` at or after `from` whose end pleases `accept`; its end.
fn find(chunk: &[Part], text: &str, from: usize, accept: impl Fn(usize) -> bool) -> Option<usize> {
    if chunk.is_empty() {
        return accept(from).then_some(from).or_else(|| accept(text.len()).then_some(text.len()));
    }
    if let [Part::Text(literal), rest @ ..] = chunk {
        // Where it can begin is found quickly.
        let mut start = from;
        loop {
            let found = memchr::memmem::find(text.get(start..)?.as_bytes(), literal.as_bytes())?;
            let behind = start + found + literal.len();
            if let Some(end) = chunk_at(rest, text, behind).filter(|end| accept(*end)) {
                return Some(end);
            }
            start += found + text.get(start + found..)?.chars().next()?.len_utf8();
        }
    }
    let starts = text.get(from..)?.char_indices().map(|(offset, _)| from + offset);
    starts.filter_map(|start| chunk_at(chunk, text, start)).find(|end| accept(*end))
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn wildcards_and_escapes() {
        let table = [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*c", "abbbc", true),
            ("a*c", "abbbcd", false),
            ("*b*", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            (r"a\*c", "a*c", true),
            (r"a\*c", "abc", false),
            (r"\\server\share", r"\server\share", true),
            (r"C:\Windows\*", r"C:\Windows\x", false),
            (r"C:\Windows\\*", r"C:\Windows\x", true),
            ("*a*b", "xxaabab", true),
            ("*a?", "xab", true),
            ("**", "", true),
            ("", "", true),
            ("", "x", false),
            ("*", "anything", true),
            ("*foo*bar*", "a foo b bar c", true),
            ("*foo*bar*", "a bar b foo c", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(Pattern::parse(pattern).matches(text), expected, "{pattern} on {text}");
        }
    }
}
