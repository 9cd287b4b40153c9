//! `metsuke replay --offline`: what would have been detected, what stopped, and what not happened.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const RULES: &str = "
title: A shell out of an office
id: office-shell
level: high
tags: [attack.execution, attack.t1059]
logsource: {product: windows, category: process_creation}
detection:
    selection:
        Image|endswith: '\\cmd.exe'
        ParentImage|endswith: '\\winword.exe'
    condition: selection
---
title: Asks who it is
id: who-am-i
level: low
logsource: {product: windows, category: process_creation}
detection:
    selection: {Image|endswith: '\\whoami.exe'}
    condition: selection
";

fn started(second: u32, (uid, image): (&str, &str), (parent, by): (&str, &str)) -> String {
    json!({
        "@timestamp": format!("2026-03-01T10:00:{second:02}.000Z"),
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "SourceName": "Microsoft-Windows-Sysmon",
        "EventID": 1,
        "Computer": "pc7.example",
        "Image": format!("C:\\Windows\\{image}"),
        "CommandLine": image,
        "ProcessGuid": uid,
        "ProcessId": "4711",
        "ParentProcessGuid": parent,
        "ParentImage": format!("C:\\Windows\\{by}"),
    })
    .to_string()
}

fn metsuke(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_metsuke"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("runs")
}

fn world() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("in")).expect("a folder");
    std::fs::write(folder.path().join("rules.yml"), RULES).expect("written");
    // The second file tells of what was earlier.
    let late = [
        started(30, ("{3}", "whoami.exe"), ("{2}", "cmd.exe")),
        started(40, ("{5}", "calc.exe"), ("{9}", "explorer.exe")),
    ];
    let early = [
        started(10, ("{1}", "winword.exe"), ("{9}", "explorer.exe")),
        started(20, ("{2}", "cmd.exe"), ("{1}", "winword.exe")),
    ];
    std::fs::write(folder.path().join("in/a.json"), late.join("\n")).expect("written");
    std::fs::write(folder.path().join("in/b.json"), early.join("\n")).expect("written");
    folder
}

const ASKED: [&str; 8] =
    ["replay", "--offline", "--rules", "rules.yml", "--input", "in", "--name", "march"];

#[test]
fn the_earliest_step_is_told_with_what_came_before_and_what_would_not_have_come_after() {
    let folder = world();
    let output =
        metsuke(folder.path(), &[&ASKED[..], &["--output", "json", "--stop-at", "high"]].concat());
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(
        (&report["name"], &report["events"], &report["out_of_order"]),
        (&json!("march"), &json!(4), &json!(0))
    );
    let step = &report["earliest_stopped"];
    assert_eq!(step["moment"]["detection"], "office-shell");
    assert_eq!(step["before"]["events_of_storyline"], 1);
    assert_eq!(step["before"]["seconds_of_storyline"], 10);
    let line: Vec<&str> = step["before"]["line"]
        .as_array()
        .expect("a line")
        .iter()
        .filter_map(|one| one["uid"].as_str())
        .collect();
    assert_eq!(line, ["{9}", "{1}", "{2}"]);
    assert_eq!((&step["after"]["events"], &step["after"]["processes"]), (&json!(1), &json!(1)));
    assert_eq!(step["after"]["detections"], json!([["who-am-i", "Asks who it is", 1]]));
    assert_eq!(report["layers"]["filter"]["count"], 2);
}

#[test]
fn what_does_not_come_to_the_end_of_the_recording_is_told_where_it_was_waited_for() {
    let folder = world();
    let rules = RULES.to_owned()
        + "---
title: A shell that asks nothing
id: asks-nothing
level: critical
sequence:
    by: host
    within: 5s
    steps: [{detections: [office-shell]}, {absent: [who-am-i], within: 5s}]
";
    std::fs::write(folder.path().join("rules.yml"), rules).expect("written");
    let arguments = [&ASKED[..], &["--output", "json", "--stop-at", "critical"]].concat();
    let output = metsuke(folder.path(), &arguments);
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let stopped = &report["earliest_stopped"]["moment"];
    assert_eq!(stopped["detection"], "asks-nothing", "{report}");
    assert_eq!(stopped["time"], "2026-03-01T10:00:25Z");
    assert_eq!(
        (&stopped["host"], &stopped["process"]["uid"]),
        (&json!("pc7.example"), &json!("{2}"))
    );
}

#[test]
fn a_detection_that_carries_a_response_stops() {
    let folder = world();
    let rules = RULES.replacen("level: high", "level: high\nresponses: {block: [terminate]}", 1);
    std::fs::write(folder.path().join("rules.yml"), rules).expect("written");
    let output = metsuke(folder.path(), &[&ASKED[..], &["--output", "json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(report["earliest_stopped"]["moment"]["detection"], "office-shell");
    assert_eq!(report["detections"][0]["stops"], "process");
    assert_eq!(report["detections"][1]["stops"], Value::Null);
}

#[test]
fn what_ships_stops_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../content/filters/reverse_shell_command/fires/bash.json");
    let sample = std::fs::read_to_string(sample).expect("readable");
    let event: Value = serde_json::from_str(&sample).expect("one object");
    std::fs::write(folder.path().join("told.jsonl"), event.to_string()).expect("written");
    let asked = ["replay", "--offline", "--shipped", "--input", "told.jsonl", "--name", "shell"];
    let output = metsuke(folder.path(), &[&asked[..], &["--output", "json"]].concat());
    assert!(output.status.success(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let moment = &report["earliest_stopped"]["moment"];
    assert_eq!(moment["title"], "Command line of a shell over the network", "{report:#}");
}

#[test]
fn without_a_response_nothing_would_have_been_stopped() {
    let folder = world();
    let output = metsuke(folder.path(), &ASKED);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("earliest step that would have been detected"), "{text}");
    assert!(text.contains("nothing would have been stopped in block mode"), "{text}");
    assert!(text.contains("A shell out of an office"), "{text}");
}

#[test]
fn a_replay_here_needs_detections_and_one_at_a_server_needs_a_server() {
    let folder = world();
    let bare = ["replay", "--offline", "--input", "in", "--name", "x"];
    assert_eq!(metsuke(folder.path(), &bare).status.code(), Some(2));
    let away =
        ["replay", "--input", "in", "--name", "x", "--url", "http://127.0.0.1:9", "--token", "t"];
    assert_eq!(metsuke(folder.path(), &away).status.code(), Some(6));
}

#[test]
fn a_public_recording_is_replayed_with_storylines() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("METSUKE_SHARED_DATA").map_or(beside, Into::into);
    if !data.is_dir() {
        eprintln!(
            "NOT RUN: a_public_recording_is_replayed_with_storylines: no shared data at {}",
            data.display()
        );
        return;
    }
    let rules = data.join("sigma/rules/windows/process_creation");
    let input = data.join("evtx-attack-samples/Execution");
    let arguments = [
        "replay",
        "--offline",
        "--shipped",
        "--rules",
        &rules.display().to_string(),
        "--input",
        &input.display().to_string(),
        "--name",
        "samples",
        "--stop-at",
        "high",
        "--output",
        "json",
    ];
    let output = metsuke(&data, &arguments);
    let report: Value = serde_json::from_slice(&output.stdout).expect("one object");
    let line = report["earliest_stopped"]["before"]["line"].as_array().expect("a line");
    assert!(line.len() > 2, "the process that acted has known ancestors: {report:#}");
    assert!(report["layers"]["model"]["count"].as_u64() > Some(0), "{:#}", report["layers"]);
    assert_eq!(report["out_of_order"], 0);
}
