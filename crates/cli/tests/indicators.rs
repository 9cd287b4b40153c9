//! `metsuke indicators` on files: what it prints, and how it ends.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn metsuke(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_metsuke"))
        .current_dir(folder)
        .arg("indicators")
        .args(arguments)
        .output()
        .expect("runs")
}

fn shown(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn feeds_are_imported_asked_and_turned() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    fs::write(at.join("feed.txt"), "evil[.]example\n198.51.100.0/24\n").expect("written");
    fs::write(at.join("bad.txt"), "ok.example\nnothing here\n").expect("written");

    let output = metsuke(at, &["import", "feed.txt", "--into", "set"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(shown(&output).contains("domain  1"), "{}", shown(&output));
    let output = metsuke(at, &["import", "feed.txt", "bad.txt", "--format", "list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        shown(&output).contains("bad.txt: line 2: left out: `nothing here`"),
        "{}",
        shown(&output)
    );

    let output = metsuke(
        at,
        &["lookup", "hxxp://www.evil.example/x", "198.51.100.9", "--in", "set", "--json"],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let met: Vec<_> =
        answer.as_array().expect("a list").iter().map(|one| &one["indicator"]).collect();
    assert_eq!(met, ["evil.example", "198.51.100.0/24"]);
    assert_eq!(answer[0]["source"], "feed.txt");
    assert_eq!(
        metsuke(at, &["lookup", "good.example", "--in", "set", "feed.txt"]).status.code(),
        Some(4)
    );

    let output = metsuke(at, &["export", "feed.txt", "--as", "list"]);
    assert_eq!(shown(&output), "evil.example\n198.51.100.0/24\n");
    let output = metsuke(at, &["export", "feed.txt", "--action", "allow", "--source", "ours"]);
    let line: serde_json::Value =
        serde_json::from_str(shown(&output).lines().next().expect("a line")).expect("JSON");
    assert_eq!((&line["action"], &line["source"]), (&"allow".into(), &"ours".into()));
}

#[test]
fn reports_are_looked_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "It ran cmd.exe\nand spoke to 10.1.2.3 and hxxps://evil[.]example/a.\n";
    fs::write(folder.path().join("report.txt"), text).expect("written");
    let output = metsuke(folder.path(), &["extract", "report.txt"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let shown = shown(&output);
    assert!(shown.contains("url   https://evil.example/a  2"), "{shown}");
    assert!(shown.contains("private") && !shown.contains("cmd.exe  "), "{shown}");
}
