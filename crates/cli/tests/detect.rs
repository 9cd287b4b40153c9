//! `metsuke detect`: what it prints, and how it ends.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const RULE: &str = "
title: Encoded PowerShell
id: 5c1b5f0e-8f0a-4d4b-9a3e-0d6f8b0f4c11
status: test
level: high
tags: [attack.execution, attack.t1059.001]
logsource: {product: windows, category: process_creation}
detection:
    selection:
        Image|endswith: '\\powershell.exe'
        CommandLine|contains: ' -enc '
    condition: selection
---
title: Encoded PowerShell again and again
id: 5c1b5f0e-8f0a-4d4b-9a3e-0d6f8b0f4c12
level: critical
correlation:
    type: event_count
    rules: [5c1b5f0e-8f0a-4d4b-9a3e-0d6f8b0f4c11]
    group-by: [Computer]
    timespan: 10m
    condition: {gte: 2}
";

const REFUSED: &str = "
title: Not to be run
id: 5c1b5f0e-8f0a-4d4b-9a3e-0d6f8b0f4c13
level: low
logsource: {product: windows}
detection:
    selection:
        Image|nosuchmodifier: a
    condition: selection
";

fn sysmon(minute: u32, command: &str) -> String {
    json!({
        "@timestamp": format!("2026-03-01T10:{minute:02}:00.000Z"),
        "Channel": "Microsoft-Windows-Sysmon/Operational",
        "SourceName": "Microsoft-Windows-Sysmon",
        "EventID": 1,
        "Computer": "pc7.example",
        "Image": "C:\\Windows\\System32\\powershell.exe",
        "CommandLine": command,
        "ProcessId": "4711",
        "User": "EXAMPLE\\joe",
        "Hashes": "SHA256=00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF",
        "ParentImage": "C:\\Windows\\explorer.exe",
    })
    .to_string()
}

struct Run {
    code: Option<i32>,
    matches: Vec<Value>,
    summary: Value,
    out: String,
}

fn detect(folder: &Path, more: &[&str]) -> Run {
    let arguments = ["detect", "--rules", "rules", "--output", "json", "--input"];
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_metsuke"))
        .current_dir(folder)
        .args(arguments)
        .args(more)
        .output()
        .expect("runs");
    let out = String::from_utf8(stdout).expect("UTF-8");
    let said = String::from_utf8(stderr).expect("UTF-8");
    Run {
        code: status.code(),
        matches: out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(),
        summary: serde_json::from_str(&said).expect(&said),
        out,
    }
}

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("rules")).expect("made");
    std::fs::create_dir(folder.path().join("in")).expect("made");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("written");
    }
    folder
}

#[test]
fn a_match_is_a_line_of_json_and_the_summary_another() {
    let lines = [sysmon(1, "powershell -enc QQBB"), sysmon(2, "powershell -File a.ps1")].join("\n");
    let folder = folder(&[("rules/a.yml", RULE.as_bytes()), ("in/a.json", lines.as_bytes())]);
    let run = detect(folder.path(), &["in"]);
    assert_eq!(run.code, Some(0), "{:?}", run.summary);
    let expected = json!({
        "rule_id": "5c1b5f0e-8f0a-4d4b-9a3e-0d6f8b0f4c11",
        "rule_title": "Encoded PowerShell",
        "kind": "filter",
        "level": "high",
        "techniques": ["T1059.001"],
        "time": "2026-03-01T10:01:00Z",
        "source": { "path": "in/a.json", "record": 1 },
        "matched": [
            {
                "field": "Image",
                "value": "C:\\Windows\\System32\\powershell.exe",
                "clause": "selection: Image|endswith '\\powershell.exe'",
            },
            {
                "field": "CommandLine",
                "value": "powershell -enc QQBB",
                "clause": "selection: CommandLine|contains ' -enc '",
            },
        ],
        "entities": {
            "host": "pc7.example",
            "user": "EXAMPLE\\joe",
            "process": {
                "pid": "4711",
                "id": "00000000000000000000000000000001-4711-177235926000",
                "executable": "C:\\Windows\\System32\\powershell.exe",
                "command_line": "powershell -enc QQBB",
            },
            "parent": { "executable": "C:\\Windows\\explorer.exe" },
            "hashes": {
                "sha256": "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            },
        },
    });
    assert_eq!(run.matches, [expected]);
    assert_eq!(run.summary["events"], 2);
    assert_eq!(run.summary["rules_loaded"], 2);
    assert_eq!(run.summary["rules_refused"], json!([]));
    for name in ["seconds", "cpu_seconds", "events_per_cpu_second"] {
        assert!(run.summary[name].is_number(), "{name}: {}", run.summary);
    }
}

#[test]
fn rules_stand_on_filters_and_the_span_cuts_events_out() {
    let lines: Vec<String> = (1..4).map(|minute| sysmon(minute, "powershell -enc QQBB")).collect();
    let text = lines.join("\r\n");
    let folder = folder(&[("rules/a.yml", RULE.as_bytes()), ("in/a.json", text.as_bytes())]);
    let run = detect(folder.path(), &["in/a.json"]);
    let kinds: Vec<&str> = run.matches.iter().filter_map(|one| one["kind"].as_str()).collect();
    assert_eq!(kinds, ["filter", "filter", "rule", "filter"], "{}", run.out);
    let span = ["in", "--since", "2026-03-01T10:02:00Z", "--until", "2026-03-01T10:03:00Z"];
    let run = detect(folder.path(), &span);
    assert_eq!(run.matches.len(), 1, "{}", run.out);
    assert_eq!(run.matches[0]["source"]["record"], 2);
    assert_eq!(run.summary["events_outside_span"], 2);
    let run = detect(folder.path(), &["in", "--since", "2026-03-02"]);
    assert_eq!((run.matches.len(), run.code), (0, Some(0)));
}

#[test]
fn what_does_not_come_is_told_with_the_record_that_it_was_waited_for_from() {
    let rules = RULE.to_owned()
        + "---
title: A script ran
id: script
level: low
logsource: {product: windows, category: process_creation}
detection: {s: {CommandLine|contains: a.ps1}, condition: s}
---
title: Encoded, and no script after it
id: silence
level: high
sequence:
    by: host
    within: 5m
    steps: [{detections: [5c1b5f0e-8f0a-4d4b-9a3e-0d6f8b0f4c11]}, {absent: [script], within: 5m}]
";
    let elsewhere = |minute| sysmon(minute, "calc").replace("pc7", "pc8");
    let check = |lines: &[String], expected: &[u64]| {
        let text = lines.join("\n");
        let folder = folder(&[("rules/a.yml", rules.as_bytes()), ("in/a.json", text.as_bytes())]);
        let run = detect(folder.path(), &["in"]);
        let of_it = run.matches.iter().filter(|one| one["rule_id"] == "silence");
        let records: Vec<u64> = of_it.filter_map(|one| one["source"]["record"].as_u64()).collect();
        assert_eq!(records, expected, "{}", run.out);
    };
    let begin = sysmon(2, "powershell -enc QQBB");
    check(&[sysmon(1, "calc"), begin.clone(), sysmon(20, "calc")], &[2]);
    // The records of its own host go on for just long enough; or not.
    check(&[sysmon(1, "calc"), begin.clone(), sysmon(8, "calc")], &[2]);
    check(&[sysmon(1, "calc"), begin.clone(), sysmon(6, "calc")], &[]);
    check(&[begin.clone(), sysmon(4, "powershell -File a.ps1"), sysmon(8, "calc")], &[]);
    // Those of another say nothing of it, whatever their clock says.
    check(&[sysmon(1, "calc"), begin, elsewhere(20)], &[]);
}

#[test]
fn lines_that_stand_newest_first_are_taken_in_order_of_time() {
    let lines: Vec<String> =
        [9, 5, 8, 1].iter().map(|minute| sysmon(*minute, "powershell -enc QQBB")).collect();
    let text = lines.join("\n");
    let folder = folder(&[("rules/a.yml", RULE.as_bytes()), ("in/a.json", text.as_bytes())]);
    let run = detect(folder.path(), &["in"]);
    let filters = run.matches.iter().filter(|one| one["kind"] == "filter");
    let lines: Vec<u64> = filters.filter_map(|one| one["source"]["record"].as_u64()).collect();
    assert_eq!(lines, [4, 2, 3, 1], "{}", run.out);
}

#[test]
fn damaged_and_foreign_files_are_named_and_the_rest_goes_on() {
    let good = sysmon(1, "powershell -enc QQBB");
    let broken = format!("{{\"Channel\": \n{good}\n\u{1}\u{2}\n");
    let folder = folder(&[
        ("rules/a.yml", RULE.as_bytes()),
        ("in/a.evtx", b"ElfFile\0cut short"),
        ("in/b.json", broken.as_bytes()),
        ("in/c.bin", b"\0\0\0\0"),
        ("in/d.json", good.as_bytes()),
    ]);
    let run = detect(folder.path(), &["in"]);
    assert_eq!(run.code, Some(1), "{}", run.summary);
    let places: Vec<(&str, u64)> = run
        .matches
        .iter()
        .map(|one| {
            let source = &one["source"];
            (source["path"].as_str().unwrap_or(""), source["record"].as_u64().unwrap_or(0))
        })
        .collect();
    assert!(places.contains(&("in/b.json", 2)) && places.contains(&("in/d.json", 1)), "{places:?}");
    let named: Vec<&str> = run.summary["problems"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["path"].as_str())
        .collect();
    assert_eq!(named, ["in/a.evtx", "in/b.json", "in/b.json"], "{}", run.summary);
    assert_eq!(run.summary["skipped"][0]["path"], "in/c.bin");
}

#[test]
fn refused_rules_are_told_with_their_path() {
    let line = sysmon(1, "powershell -enc QQBB");
    let folder = folder(&[
        ("rules/a.yml", RULE.as_bytes()),
        ("rules/b.yml", REFUSED.as_bytes()),
        ("in/a.json", line.as_bytes()),
    ]);
    let run = detect(folder.path(), &["in", "--format", "jsonl"]);
    assert_eq!((run.code, run.matches.len()), (Some(1), 1), "{}", run.summary);
    let refused = &run.summary["rules_refused"];
    assert_eq!(refused.as_array().map(Vec::len), Some(1), "{refused}");
    assert_eq!(refused[0]["path"], "rules/b.yml");
    assert!(refused[0]["reason"].as_str().is_some_and(|reason| reason.contains("nosuchmodifier")));
}

#[test]
fn files_in_a_zip_are_read() {
    let line = sysmon(1, "powershell -enc QQBB");
    let folder = folder(&[("rules/a.yml", RULE.as_bytes())]);
    let file = std::fs::File::create(folder.path().join("in/a.zip")).expect("made");
    let mut zip = zip::ZipWriter::new(file);
    for (name, bytes) in [("x/a.json", line.as_bytes()), ("x/b.pcap", b"\xd4\xc3\xb2\xa1\0\0")] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("begun");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("ended");
    std::fs::write(folder.path().join("in/broken.zip"), b"PK\x03\x04 and no more")
        .expect("written");
    let run = detect(folder.path(), &["in"]);
    assert_eq!(run.matches[0]["source"]["path"], "in/a.zip!x/a.json", "{}", run.summary);
    assert_eq!(run.summary["skipped"][0]["path"], "in/a.zip!x/b.pcap");
    assert_eq!(run.summary["problems"][0]["path"], "in/broken.zip");
    assert_eq!(run.code, Some(1));
}

#[test]
fn wrong_usage_has_its_own_exit_codes() {
    let folder = folder(&[("rules/a.yml", RULE.as_bytes())]);
    let code = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_metsuke"));
        command.current_dir(folder.path()).arg("detect").args(arguments);
        command.output().expect("runs").status.code()
    };
    assert_eq!(code(&["--rules", "rules"]), Some(2), "no input");
    assert_eq!(code(&["--input", "in"]), Some(2), "no rules");
    assert_eq!(code(&["--rules", "rules", "--input", "nowhere"]), Some(4));
    assert_eq!(code(&["--rules", "rules", "--input", "rules", "--since", "soon"]), Some(2));
    assert_eq!(code(&["--rules", "in", "--input", "rules"]), Some(4), "no rule there");
}
