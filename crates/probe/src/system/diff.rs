//! What changed between two texts, line by line, for people and rules to read.
//!
//! Pure. Invariant: a diff is bounded, and says so when it was cut.

use std::fmt::Write as _;

/// Longest diff in bytes, as `persistence.diff` and `service.diff` promise.
pub(super) const MAX_DIFF: usize = 8_192;

/// Longest line shown; one that is longer is cut.
const MAX_LINE: usize = 1_024;

/// Most cells of the table that finds common lines: 512 changed lines on either side. Beyond it all
/// lines between the first and the last difference are told as gone and come.
const MAX_CELLS: usize = 262_144;

/// Lines that went (`-`) and came (`+`), in order; `None` when there are none.
pub(super) fn lines(before: &str, after: &str) -> Option<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let mut text = String::new();
    let mut cut = 0_usize;
    for (sign, line) in changes(old, new) {
        let line = shorten(line);
        if text.len() + line.len() + 48 > MAX_DIFF {
            cut += 1;
            continue;
        }
        text.push(sign);
        text.push_str(line);
        text.push('\n');
    }
    if cut > 0 {
        // Writing to a String does not fail.
        let _ = writeln!(text, "… {cut} more lines");
    }
    text.pop();
    (!text.is_empty()).then_some(text)
}

/// The lines that came, in order.
pub(super) fn added(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let came = changes(&old, &new).into_iter().filter(|(sign, _)| *sign == '+');
    came.map(|(_, line)| line.to_owned()).collect()
}

fn changes<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    let gone = |line: &&'a str| ('-', *line);
    let came = |line: &&'a str| ('+', *line);
    if old.len().saturating_mul(new.len()) > MAX_CELLS {
        return old.iter().map(gone).chain(new.iter().map(came)).collect();
    }
    // Longest common subsequence: common[i][j] is its length for old[i..] and new[j..].
    let width = new.len() + 1;
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut found = Vec::new();
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if common[(i + 1) * width + j] >= common[i * width + j + 1] {
            found.push(gone(&old[i]));
            i += 1;
        } else {
            found.push(came(&new[j]));
            j += 1;
        }
    }
    found.extend(old[i..].iter().map(gone));
    found.extend(new[j..].iter().map(came));
    found
}

fn shorten(line: &str) -> &str {
    let mut end = line.len().min(MAX_LINE);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::{MAX_DIFF, added, lines};

    #[test]
    fn only_what_changed_is_told() {
        for (before, after, expected) in [
            ("a\nb\nc\n", "a\nc\n", Some("-b")),
            ("a\nc\n", "a\nb\nc\n", Some("+b")),
            ("a\nb\nc\n", "a\nB\nc\n", Some("-b\n+B")),
            ("", "x\n", Some("+x")),
            ("x\n", "", Some("-x")),
            ("same\n", "same", None),
            ("a\nb\n", "b\na\n", Some("-a\n+a")),
            ("1\n2\n3\n4\n5", "1\nx\n3\ny\n5", Some("-2\n+x\n-4\n+y")),
        ] {
            assert_eq!(lines(before, after).as_deref(), expected, "{before:?} {after:?}");
        }
        assert_eq!(added("a\nb\n", "x\na\ny\nb\n"), ["x", "y"]);
    }

    #[test]
    fn a_long_diff_is_cut_and_says_so() {
        let numbered = |text: &str| {
            let lines: Vec<String> = (0..5_000).map(|n| format!("{text} {n}")).collect();
            lines.join("\n")
        };
        let (new, old) = (numbered("line ü"), numbered("old"));
        for (before, after) in [("", new.as_str()), (&old, &new), ("", &"ä".repeat(9_000))] {
            let diff = lines(before, after).unwrap();
            assert!(diff.len() <= MAX_DIFF, "{}", diff.len());
        }
        assert!(lines("", &new).unwrap().ends_with("more lines"));
    }
}
