//! What no compiler looks at: sizes, headers, READMEs, links, and what must not be committed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Problem;
use crate::{place, steps};

/// Lines of a source file.
const MAX_LINES: usize = 500;
/// Lines of a crate's README.
const MAX_README_LINES: usize = 30;
/// Files larger than this are not sources; they are not read.
const MAX_BYTES: u64 = 4 << 20;

/// Endings of files that people write.
const SOURCES: [&str; 9] = ["rs", "c", "h", "ts", "tsx", "mjs", "css", "sh", "proto"];
/// Names of files that a tool writes.
const GENERATED: [&str; 6] =
    ["Cargo.lock", "package-lock.json", "vmlinux.h", "schema.d.ts", "openapi.json", "fields.md"];

/// What must not be committed, in pieces so that this file does not hold it.
const FORBIDDEN: [(&[&str], &str); 12] = [
    (&["/wo", "rk/main"], "a path of one machine"),
    (&["/wo", "rk/shared"], "a path of one machine"),
    (&["/fa", "rm/"], "a path of one machine"),
    (&["/tm", "p/t-"], "a path of one machine"),
    (&["registry.", "npmjs.org"], "the host of a registry"),
    (&["static.", "crates.io"], "the host of a registry"),
    (&["files.", "pythonhosted.org"], "the host of a registry"),
    (&["deb.", "debian.org"], "the host of a registry"),
    (&["tod", "o!("], "an unfinished place"),
    (&["unimpl", "emented!("], "an unfinished place"),
    (&["#[ign", "ore"], "a test that is never run; print NOT RUN with the reason instead"),
    (&["FIX", "ME"], "an unfinished place"),
];

/// Every untidiness in the files that git knows or would add.
pub(super) fn problems() -> Result<Vec<Problem>> {
    let list = steps::output(
        std::process::Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(place::root()),
    )
    .context("the checks need git's list of files")?;
    let mut problems = Vec::new();
    for name in list.lines() {
        let path = place::root().join(name);
        let Ok(data) = path.metadata() else { continue };
        if !data.is_file() || data.len() > MAX_BYTES {
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        one_file(name, &text, &mut problems);
    }
    readmes(&mut problems)?;
    Ok(problems)
}

fn one_file(name: &str, text: &str, problems: &mut Vec<Problem>) {
    let path = Path::new(name);
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    let generated =
        GENERATED.contains(&&*file) || text.lines().take(5).any(|line| line.contains("@generated"));
    if SOURCES.contains(&&*ending) && !generated {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            problems.push(Problem::new(
                name,
                format!("{lines} lines; split it, {MAX_LINES} is the most"),
            ));
        }
        if !text.is_empty() && !text.ends_with('\n') {
            problems.push(Problem::new(name, "does not end with a newline"));
        }
        if let Some(line) = text.lines().position(|line| line.ends_with([' ', '\t'])) {
            problems
                .push(Problem::new(format!("{name}:{}", line + 1), "space at the end of the line"));
        }
        if ending == "rs" && !has_header(text) {
            problems
                .push(Problem::new(name, "has no `//!` header saying what it holds and what not"));
        }
    }
    if file != "Cargo.lock" {
        forbidden(name, text, problems);
    }
    if ending == "md" && !name.starts_with("content/") {
        links(path, text, problems);
    }
}

fn has_header(text: &str) -> bool {
    text.lines()
        .find(|line| !line.trim().is_empty() && !line.starts_with("// "))
        .is_some_and(|line| line.starts_with("//!") || line.starts_with("#![doc"))
}

fn forbidden(name: &str, text: &str, problems: &mut Vec<Problem>) {
    for (pieces, why) in FORBIDDEN {
        let needle = pieces.concat();
        if let Some(line) = text.lines().position(|line| line.contains(&needle)) {
            problems
                .push(Problem::new(format!("{name}:{}", line + 1), format!("`{needle}`: {why}")));
        }
    }
}

/// Relative links of a document lead somewhere.
fn links(path: &Path, text: &str, problems: &mut Vec<Problem>) {
    let folder = place::root().join(path.parent().unwrap_or(Path::new("")));
    for (number, line) in text.lines().enumerate() {
        for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let goal = link.split('#').next().unwrap_or_default();
            let outside = goal.is_empty() || goal.contains("://") || goal.starts_with("mailto:");
            if !outside && !folder.join(goal).exists() {
                let place = format!("{}:{}", path.display(), number + 1);
                problems.push(Problem::new(place, format!("the link to `{goal}` leads nowhere")));
            }
        }
    }
}

fn readmes(problems: &mut Vec<Problem>) -> Result<()> {
    for entry in fs::read_dir(place::root().join("crates"))? {
        let folder = entry?.path();
        if !folder.join("Cargo.toml").is_file() {
            continue;
        }
        let name = format!(
            "crates/{}/README.md",
            folder.file_name().unwrap_or_default().to_string_lossy()
        );
        match fs::read_to_string(folder.join("README.md")) {
            Ok(text) if text.lines().count() > MAX_README_LINES => problems.push(Problem::new(
                name,
                format!("longer than {MAX_README_LINES} lines: move it to docs/"),
            )),
            Ok(_) => {}
            Err(_) => problems.push(Problem::new(name, "is missing")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{has_header, one_file};

    #[test]
    fn untidy_files_are_named() {
        let check = |name: &str, text: &str, expect: usize| {
            let mut problems = Vec::new();
            one_file(name, text, &mut problems);
            assert_eq!(problems.len(), expect, "{name}: {problems:?}");
        };
        check("a.rs", "//! Fine.\n", 0);
        check("a.rs", "fn main() {}\n", 1);
        check("a.rs", &format!("//! Long.\n{}", "//\n".repeat(500)), 1);
        check("a.rs", &format!("// @generated by a tool\n{}", "//\n".repeat(900)), 0);
        check("a.c", "int a; \n", 1);
        check("a.c", "int a;", 1);
        check("notes.txt", &["see /wo", "rk/main/x\n"].concat(), 1);
        check("a.md", "[x](https://example.org) [y](#here)\n", 0);
        check("a.md", "[x](no-such-file.md)\n", 1);
    }

    #[test]
    fn headers() {
        assert!(has_header("#![doc = include_str!(\"../README.md\")]\n"));
        assert!(!has_header(""));
    }
}
