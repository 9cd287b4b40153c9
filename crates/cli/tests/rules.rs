//! `metsuke rules check`, `import`, `test` and `profile` on files: what they print, and how they end.

use std::fs;
use std::process::{Command, Output};

const GOOD: &str = "title: t\nid: good\nlogsource: {product: linux}\ndetection:\n  a:\n    \
                    User|expand: '%admins%'\n  condition: a\n";
const BAD: &str = "title: t\nid: bad\nlogsource: {product: linux}\ndetection:\n  a:\n    \
                   Image: x\n  condition: a and missing\n";

fn check(arguments: &[&str], files: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
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

/// A detection of executions of `id`.
fn detection(id: &str) -> String {
    format!(
        "title: {id} ran\nid: {id}\nlevel: high\n\
         logsource: {{product: linux, category: process_creation}}\n\
         detection:\n  a:\n    Image|endswith: /{id}\n  condition: a\n"
    )
}

/// An execution as ECS.
fn ran(path: &str, second: u32) -> String {
    format!(
        r#"{{"@timestamp": "2026-11-22T10:00:{second:02}Z", "event.action": "process.exec",
        "event.sequence": {second}, "host.hostname": "web-1", "process.executable": "{path}",
        "process.entity_id": "b-7-{second}", "metsuke.process.storyline": "b-7-1"}}"#
    )
}

#[test]
fn samples_are_run_like_tests() {
    let (one, two) = (detection("one"), detection("two"));
    let silence = "title: silence\nid: silence\nsequence:\n  within: 1m\n  steps:\n    \
                   - detections: [one]\n    - absent: [two]\n      within: 1h\n";
    let (first, second) = (ran("/bin/one", 1), ran("/bin/two", 2));
    let both = format!("[{first}, {second}]");
    let files = [
        ("a/one/detection.yml", one.as_str()),
        ("a/one/fires/it.json", &first),
        ("a/one/quiet/other.json", &second),
        ("a/two/detection.yml", &two),
        ("b/silence/detection.yml", silence),
        ("b/silence/fires/it.json", &first),
        ("b/silence/quiet/both.json", &both),
    ];
    let output = check(&["rules", "test", "."], &files);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(shown.contains("ok        ./a/one (1 fires, 1 quiet)\n"), "{shown}");
    assert!(shown.contains("untested  ./a/two (0 fires, 0 quiet)\n"), "{shown}");
    assert!(shown.contains("ok        ./b/silence (1 fires, 1 quiet)\n"), "{shown}");
    let end = "4 passed, 0 failed of 4 samples of 3 detections; 1 without a sample that fires, 0 refused\n";
    assert!(shown.ends_with(end), "{shown}");

    // What nothing shows is told, and fails when that is asked for.
    assert!(shown.contains("untested  two: no sample in fires/ makes it strike\n"), "{shown}");
    assert_eq!(check(&["rules", "test", "--strict", "."], &files).status.code(), Some(1));
    let mut shown_all = files.to_vec();
    shown_all.push(("a/two/fires/it.json", &second));
    let output = check(&["rules", "test", "--strict", "."], &shown_all);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));

    let mut wrong = files.to_vec();
    wrong[1].1 = &second;
    wrong[2].1 = &first;
    wrong.push(("a/one/fires/broken.json", "{"));
    wrong.push(("c/detection.yml", BAD));
    let output = check(&["--json", "rules", "test", "a", "b", "c"], &wrong);
    assert_eq!(output.status.code(), Some(1));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&answer["passed"], &answer["failed"]), (&2.into(), &3.into()), "{answer:#}");
    let samples = answer["detections"][0]["samples"].as_array().expect("a list");
    let why: Vec<_> = samples.iter().map(|one| one["why"].as_str().unwrap_or_default()).collect();
    assert_eq!(why[1], "it does not strike; what does: two");
    assert_eq!(why[2], "`one` strikes");
    assert!(why[0].contains("EOF"), "{why:?}");
    assert_eq!(answer["refused"][0]["path"], "c/detection.yml");
    assert_eq!(check(&["rules", "test", "."], &[("x.yml", GOOD)]).status.code(), Some(4));
}

#[test]
fn costs_are_told_and_a_bound_is_bad_news() {
    let (one, two) = (detection("one"), detection("two"));
    let one_line = |second| ran("/bin/one", second).replace('\n', " ");
    let events: Vec<String> = (0..50).map(one_line).collect();
    let events = events.join("\n");
    let files = [("r/one.yml", one.as_str()), ("r/two.yml", &two), ("events.jsonl", &events)];
    let base = ["rules", "profile", "--rules", "r", "--input", "events.jsonl", "--every", "1"];
    let output = check(&[&["--json"], &base[..]].concat(), &files);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&answer["events"], &answer["measured"]), (&50.into(), &50.into()));
    let rule = |id: &str| {
        let rules = answer["rules"].as_array().expect("a list");
        rules.iter().find(|rule| rule["id"] == id).expect("a rule").clone()
    };
    assert_eq!((&rule("one")["hits"], &rule("one")["tries"]), (&50.into(), &50.into()));
    assert_eq!((&rule("two")["hits"], &rule("two")["tries"]), (&0.into(), &0.into()));
    assert!(answer["shared_nanos_per_event"].as_f64().expect("a number") > 0.0);
    let output = check(&[&base[..], &["--bound", "0"]].concat(), &files);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("one ran [one]") && shown.contains("ns per event"), "{shown}");
    assert_eq!(output.status.code(), Some(i32::from(shown.contains("too dear"))), "{shown}");
}

#[test]
fn an_import_keeps_text_licence_and_author() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("theirs/linux")).expect("made");
    let good = GOOD
        .replace("|expand: '%admins%'", ": root")
        .replace("id: good", "id: good\nauthor: 'A. N. Other,\n    B. Other'\nlicense: DRL-1.1");
    fs::write(at("theirs/LICENSE.md"), "Detection Rule License").expect("written");
    fs::write(at("theirs/linux/good.yml"), &good).expect("written");
    fs::write(at("theirs/bad.yml"), BAD).expect("written");
    let import = || {
        let run = ["rules", "import", "theirs", "--into", "ours", "--licence", "unknown"];
        Command::new(env!("CARGO_BIN_EXE_metsuke"))
            .current_dir(folder.path())
            .args(run)
            .output()
            .expect("runs")
    };
    let output = import();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(
        shown.contains("bad.yml:7:20: error") && shown.contains("1 files taken over"),
        "{shown}"
    );
    assert_eq!(fs::read_to_string(at("ours/linux/good.yml")).expect("there"), good);
    assert!(!at("ours/bad.yml").exists() && at("ours/LICENSE.md").is_file());
    let list = fs::read_to_string(at("ours/imported.json")).expect("there");
    let list: serde_json::Value = serde_json::from_str(&list).expect("json");
    assert_eq!(list["documents"][0]["author"], "A. N. Other, B. Other");
    assert_eq!(list["documents"][0]["licence"], "DRL-1.1");
    assert_eq!(list["refused"].as_array().map(Vec::len), Some(1));
    // What is gone there goes here; what was never imported stays, and is never written over.
    fs::write(at("ours/mine.txt"), "mine").expect("written");
    fs::remove_file(at("theirs/linux/good.yml")).expect("removed");
    fs::write(at("theirs/other.yml"), good.replace("id: good", "id: other")).expect("written");
    assert_eq!(import().status.code(), Some(1));
    assert!(!at("ours/linux/good.yml").exists() && at("ours/other.yml").is_file());
    assert!(at("ours/mine.txt").is_file());
    fs::remove_file(at("ours/imported.json")).expect("removed");
    assert_eq!(import().status.code(), Some(2), "a folder of somebody's own");
}
