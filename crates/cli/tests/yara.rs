//! `metsuke yara check` with the scanner that sensors use.

use std::fs;
use std::process::Command;

use metsuke_testkit::binaries::binary;
use serde_json::Value;

const FINE: &str = "rule fine {\n  strings: $a = \"nowhere to be found\"\n  condition: $a\n}\n";
const BAD: &str = "rule good { condition: false }\n\nrule bad { condition: $missing }\n\
                   rule slow { strings: $a = { 00 [1-10] 01 } condition: $a }\n";
const BROAD: &str = "rule narrow { strings: $a = \"not there\" condition: $a }\n\
                     rule broad : tag {\n  strings: $a = \"clean words\"\n  condition: $a\n}\n";

#[test]
fn what_does_not_compile_is_slow_or_hits_clean_files_is_refused_by_name() {
    let scanner = match binary("metsuke-yara") {
        Ok(scanner) => scanner,
        Err(error) => {
            println!("NOT RUN: what_does_not_compile_is_slow_or_hits_clean_files: {error}");
            return;
        }
    };
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    for (name, text) in [("fine.yar", FINE), ("bad.yar", BAD), ("broad.yara", BROAD)] {
        fs::write(at.join(name), text).expect("written");
    }
    fs::create_dir(at.join("clean")).expect("a folder");
    for (name, text) in [("a", "these are clean words"), ("b", "others")] {
        fs::write(at.join("clean").join(name), text).expect("written");
    }
    // Enough to measure.
    fs::write(at.join("clean/c"), vec![b'x'; 2 << 20]).expect("written");
    let check = |paths: &[&str], more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_metsuke"));
        command.current_dir(at).args(["yara", "check"]).args(paths).args(["--clean", "clean"]);
        command.arg("--scanner").arg(&scanner).args(more).output().expect("runs")
    };
    // The scanner of a test is not optimised.
    let output = check(&["fine.yar"], &["--most-ms", "5000"]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert_eq!(
        shown,
        "1 of 1 files of rules are fit (1 rules compiled); looked at 3 clean files, 2 MiB\n"
    );

    let output = check(&["."], &["--most-ms", "5000"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "  --> ./bad.yar:3 (bad)\n",
        "  --> ./bad.yar:4 (slow)\n",
        "error[clean]: hits 1 of 3 clean files: clean/a\n  --> ./broad.yara:2 (broad)\n",
        "1 of 3 files of rules are fit (4 rules compiled)",
    ] {
        assert!(shown.contains(part), "{part:?} in {shown}");
    }
    assert!(!shown.contains("(narrow)") && !shown.contains("(good)"), "{shown}");

    // What may cost nothing is too dear, whatever it is.
    let output = check(&["fine.yar"], &["--most-ms", "-1", "--json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["files"][0]["refused"][0]["code"], "slow", "{answer}");
    assert!(answer["files"][0]["ms_per_mib"].as_f64().is_some_and(|ms| ms >= 0.0), "{answer}");
}
