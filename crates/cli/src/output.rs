//! What reaches the terminal. Invariant: no control character of a host's or server's text does.

use std::io::{self, Write};

use serde_json::Value;

/// Characters of one table cell; longer ones are cut with an ellipsis.
const CELL: usize = 80;

/// `text` with every control, bidirectional and line-breaking character made visible.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let hidden = (c.is_control() && c != '\n')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            let shown: Vec<char> =
                if hidden { c.escape_unicode().collect() } else { vec![c] };
            shown
        })
        .collect()
}

/// A value as one cell: text as it is, nothing as `-`.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => clean(text).replace('\n', "\\n"),
        other => clean(&other.to_string()),
    }
}

/// Several texts of a list as one cell.
pub(crate) fn list(value: &Value) -> String {
    let items: Vec<String> = value.as_array().into_iter().flatten().map(cell).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(",") }
}

/// Prints JSON, one document, indented.
pub(crate) fn json(value: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)
}

/// Prints one line.
pub(crate) fn say(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Prints a table with a heading; columns are as wide as they need to be.
pub(crate) fn table(heading: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let cut = |text: &str| -> String {
        if text.chars().count() <= CELL {
            return text.to_owned();
        }
        let mut short: String = text.chars().take(CELL - 1).collect();
        short.push('…');
        short
    };
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|text| cut(text)).collect()).collect();
    let widths: Vec<usize> = (0..heading.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count());
            cells.chain([heading[column].chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let heading: Vec<String> = heading.iter().map(|name| (*name).to_owned()).collect();
    let mut out = io::stdout().lock();
    for row in std::iter::once(&heading).chain(&rows) {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// Prints a list's answer as a table, and says when there is more of it.
pub(crate) fn items(
    answer: &Value,
    heading: &[&str],
    row: impl Fn(&Value) -> Vec<String>,
) -> io::Result<()> {
    let rows: Vec<Vec<String>> =
        answer["items"].as_array().into_iter().flatten().map(row).collect();
    table(heading, &rows)?;
    if answer["next"].is_null() { Ok(()) } else { say("(and more; ask for them with --limit)") }
}

/// Says which intervals were not seen, for an answer that is only as good as what was.
pub(crate) fn losses(loss: &Value) -> io::Result<()> {
    let Some(intervals) = loss.as_array().filter(|intervals| !intervals.is_empty()) else {
        return Ok(());
    };
    say(&format!("not seen ({}):", intervals.len()))?;
    for one in intervals {
        let count = one["lost"].as_u64().map_or("unknown number of".to_owned(), |n| n.to_string());
        let host = if one["host"].is_null() { &one["endpoint"] } else { &one["host"] };
        say(&format!(
            "  {} to {}  {}  {} ({}), {count} activities",
            cell(&one["from"]),
            cell(&one["to"]),
            cell(host),
            cell(&one["part"]),
            cell(&one["reason"])
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{cell, clean, list};
    use serde_json::json;

    #[test]
    fn hostile_text_cannot_command_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(clean("x\u{202e}gpj.exe"), "x\\u{202e}gpj.exe");
        assert_eq!(cell(&json!("a\nb\r")), "a\\nb\\u{d}");
    }

    #[test]
    fn missing_values_are_dashes() {
        assert_eq!(cell(&json!(null)), "-");
        assert_eq!(list(&json!([])), "-");
        assert_eq!(list(&json!(["T1", "T2"])), "T1,T2");
    }
}
