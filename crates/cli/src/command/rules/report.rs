//! One refusal as compilers say it: where, why, the line, what to do.

use metsuke_detect::{Position, Refused};
use serde_json::{Value, json};

/// Characters of a line that are shown.
const LINE: usize = 160;

/// A document that was not taken.
#[derive(Debug)]
pub(super) struct Report {
    path: String,
    id: Option<String>,
    at: Option<Position>,
    code: String,
    message: String,
    /// What to do, when the reason says it.
    advice: Option<String>,
    /// The line it is about, when the place is known.
    line: Option<String>,
}

impl Report {
    /// Of a document of this text.
    pub(super) fn of(refused: &Refused, text: &str) -> Self {
        let reason = refused.reason.to_string();
        let (message, advice) = match reason.rsplit_once("; ") {
            Some((message, advice)) => (message.to_owned(), Some(advice.to_owned())),
            None => (reason, None),
        };
        let line = refused.position.and_then(|at| text.lines().nth(at.line.checked_sub(1)?));
        Self {
            path: refused.path.clone(),
            id: refused.id.clone(),
            at: refused.position,
            code: refused.reason.code().to_owned(),
            message,
            advice,
            line: line.map(str::to_owned),
        }
    }

    /// Of a file that could not be read.
    pub(super) fn unread(path: String, why: String) -> Self {
        let code = "unread".to_owned();
        Self { path, id: None, at: None, code, message: why, advice: None, line: None }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "path": self.path,
            "line": self.at.map(|at| at.line),
            "column": self.at.map(|at| at.column),
            "id": self.id,
            "code": self.code,
            "message": self.message,
            "advice": self.advice,
        })
    }

    /// Several lines, with an empty one at the end.
    pub(super) fn shown(&self) -> String {
        let mut lines = vec![format!("{}: error[{}]: {}", self.place(), self.code, self.message)];
        if let (Some(at), Some(line)) = (self.at, &self.line) {
            let number = at.line.to_string();
            let margin = " ".repeat(number.len());
            let line: String = line.chars().take(LINE).collect::<String>().replace('\t', " ");
            let from = at.column.saturating_sub(1);
            let mark = if from < LINE { marks(&line, from) } else { String::new() };
            lines.push(format!(" {margin} |"));
            lines.push(format!(" {number} | {line}"));
            lines.push(format!(" {margin} | {mark}"));
        }
        lines.extend(self.advice.iter().map(|advice| format!("   = {advice}")));
        lines.push(String::new());
        lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
    }

    fn place(&self) -> String {
        match self.at {
            Some(at) => format!("{}:{at}", self.path),
            None => self.path.clone(),
        }
    }
}

/// `^` under the word that begins at character `from`.
fn marks(line: &str, from: usize) -> String {
    let word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | '*' | '%' | '.');
    let length = line.chars().skip(from).take_while(word).count().max(1);
    format!("{}{}", " ".repeat(from), "^".repeat(length))
}

#[cfg(test)]
mod tests {
    use metsuke_detect::{Document, compile};

    use super::Report;

    #[test]
    fn a_refusal_reads_like_a_compilers() {
        let text = "title: t\nid: t\nlogsource: {product: linux}\ndetection:\n  a:\n    \
                    Image|sideways: x\n  condition: a\n";
        let document = Document { path: "rules/t.yml".to_owned(), text: text.to_owned() };
        let (_, refused) = compile([document]);
        let report = Report::of(&refused[0], text);
        assert_eq!(
            report.shown(),
            "rules/t.yml:6:11: error[unknown_modifier]: modifier `sideways` is not known\n   |\n \
             6 |     Image|sideways: x\n   |           ^^^^^^^^\n   = correct it or leave it out\n"
        );
        assert_eq!(report.json()["column"], 11);
    }

    #[test]
    fn a_place_beyond_the_text_is_only_named() {
        let text = "- [";
        let document = Document { path: "t.yml".to_owned(), text: text.to_owned() };
        let (_, refused) = compile([document]);
        let shown = Report::of(&refused[0], text).shown();
        assert!(shown.starts_with("t.yml:") && shown.contains("error[yaml]"), "{shown}");
    }
}
