//! `metsuke rules check` on files: what it prints, and how it ends.

use std::fs;
use std::process::{Command, Output};

const GOOD: &str = "title: t\nid: good\nlogsource: {product: linux}\ndetection:\n  a:\n    \
                    User|expand: '%admins%'\n  condition: a\n";
const BAD: &str = "title: t\nid: bad\nlogsource: {product: linux}\ndetection:\n  a:\n    \
                   Image: x\n  condition: a and missing\n";

fn check(arguments: &[&str], files: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    Command::new(env!("CARGO_BIN_EXE_metsuke"))
        .current_dir(folder.path())
        .args(arguments)
        .output()
        .expect("runs")
}

#[test]
fn refusals_are_shown_where_they_lie() {
    let files = [("good.yml", GOOD), ("bad.yml", BAD), ("ours.txt", "no: rule")];
    let output = check(&["rules", "check", "--placeholder", "admins=root", "."], &files);
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("bad.yml:7:20: error[condition]: condition: `missing`"), "{shown}");
    assert!(
        shown.contains("\n 7 |   condition: a and missing\n   |                    ^^^^^^^\n"),
        "{shown}"
    );
    assert!(shown.ends_with("of 2 files, 1 refused\n") && shown.contains("\n1 loaded"), "{shown}");
}

#[test]
fn json_and_several_paths() {
    let files = [("good.yml", GOOD), ("bad.yml", BAD), ("ours.txt", "no: rule")];
    let output = check(&["--json", "rules", "check", "good.yml", "ours.txt", "gone.yml"], &files);
    assert_eq!(output.status.code(), Some(1));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let codes: Vec<_> =
        answer["refused"].as_array().expect("a list").iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["unread", "placeholder", "unknown_kind"], "{answer:#}");
    assert_eq!((&answer["loaded"], &answer["documents"]), (&0.into(), &3.into()));
    assert_eq!(
        (&answer["refused"][1]["line"], &answer["refused"][1]["id"]),
        (&6.into(), &"good".into())
    );
}

#[test]
fn what_is_right_ends_well() {
    let output = check(
        &["rules", "check", "--placeholder", "admins=root", "good.yml"],
        &[("good.yml", GOOD)],
    );
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    let output =
        check(&["rules", "check", "--placeholder", "admins", "good.yml"], &[("good.yml", GOOD)]);
    assert_ne!(output.status.code(), Some(0));
    let output = check(&["rules", "check", "."], &[]);
    assert_ne!(output.status.code(), Some(0), "a folder without rules");
}
