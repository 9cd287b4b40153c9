//! YARA over files and memory, in the scanner's own process.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use metsuke_enforce::EnforceScope;
use metsuke_evidence::Reach;
use metsuke_evidence::scan::{ScanError, Scanner};
use metsuke_testkit::cgroup::Cgroup;
use metsuke_testkit::{needs, wait};

use crate::world::{LIMIT, boot, keeper, scanner, subject};

fn everywhere() -> Reach {
    Reach { scope: EnforceScope::Host, boot: boot(), roots: None, private: Vec::new() }
}

fn rules(needle: &str) -> String {
    format!(
        "rule hit : found {{ strings: $a = \"{needle}\" condition: $a }}\n\
         rule broken {{ condition: $missing }}"
    )
}

#[test]
fn a_rule_is_found_in_files_and_a_broken_one_is_named() -> Result<()> {
    let test = "a_rule_is_found_in_files_and_a_broken_one_is_named";
    let Some(scanner) = scanner(test) else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let folder = dir.path().join("folder");
    fs::create_dir_all(folder.join("deep"))?;
    fs::write(folder.join("clean"), "nothing of interest")?;
    fs::write(folder.join("deep/bad"), "xx needle-in-file yy")?;
    let to = dir.path().join("matches");
    let scanned = scanner.path(&everywhere(), &folder, &rules("needle-in-file"), &to)?;
    let cost = scanned.cost.context("the scanner came to its end")?;
    assert!(cost.peak_bytes > 1 << 20 && cost.peak_bytes < scanner.memory_bytes, "{cost:?}");
    let evidence = scanned.evidence;
    assert_eq!(evidence.found_total, 1, "{evidence:?}");
    let place = folder.join("deep/bad").display().to_string();
    assert_eq!((evidence.found[0].name.as_str(), &evidence.found[0].place), ("hit", &place));
    assert!(evidence.gaps[0].contains("rule broken is refused"), "{evidence:?}");
    let lines = fs::read_to_string(&to)?;
    assert!(lines.contains(r#""tags":["found"]"#) && lines.contains(r#""offset":3"#), "{lines}");
    assert!(lines.trim_end().lines().last().is_some_and(|line| line.contains("cpu_ms")));

    let to = dir.path().join("none");
    let error = scanner.path(&everywhere(), &folder, "rule broken { condition: $x }", &to);
    assert!(matches!(&error, Err(ScanError::NoRules(why)) if why.contains("broken")), "{error:?}");
    assert!(!to.exists());
    Ok(())
}

/// Each module, and patterns that become machine code: behind the filter of system calls a library
/// that wanted another call would be missed here.
#[test]
fn every_module_answers_for_a_program() -> Result<()> {
    let Some(scanner) = scanner("every_module_answers_for_a_program") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let (program, to) = (dir.path().join("program"), dir.path().join("matches"));
    fs::copy("/bin/sh", &program)?;
    let conditions = [
        ("elf_module", "elf.type == elf.ET_DYN or elf.type == elf.ET_EXEC"),
        ("hash_module", "hash.sha256(0, filesize) != \"\""),
        ("math_module", "math.entropy(0, filesize) > 1.0"),
        ("string_module", "string.length(\"three\") == 5"),
    ];
    let pattern = "rule pattern { strings: $a = /\\x7f[A-Z]{3}/ $b = \"ELF\" xor(1-255) \
                   $c = { 7f 45 4c 46 [4-8] 00 } condition: $a at 0 and $c and #b >= 0 }";
    let imports = ["elf", "hash", "math", "string"].map(|name| format!("import \"{name}\"\n"));
    let rules =
        conditions.map(|(name, condition)| format!("rule {name} {{ condition: {condition} }}\n"));
    let rules = imports.concat() + &rules.concat() + pattern;
    let evidence = scanner.path(&everywhere(), &program, &rules, &to)?.evidence;
    let mut found: Vec<_> = evidence.found.iter().map(|found| found.name.as_str()).collect();
    found.sort_unstable();
    let wanted = ["elf_module", "hash_module", "math_module", "pattern", "string_module"];
    assert_eq!(found, wanted, "{evidence:?}");
    assert_eq!(evidence.gaps_total, 0, "{evidence:?}");
    Ok(())
}

#[test]
fn a_rule_is_found_in_memory() -> Result<()> {
    needs!("a_rule_is_found_in_memory", Root, Cgroup);
    let Some(scanner) = scanner("a_rule_is_found_in_memory") else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let group = Cgroup::create("evidence")?;
    let secret = format!("needle-in-memory-{}", std::process::id());
    let running = keeper(&group, dir.path(), &secret)?;
    let to = dir.path().join("matches");
    let subject = subject(&group, &running)?;
    let evidence = scanner.process(&subject, &rules(&secret), &to)?.evidence;
    assert_eq!(evidence.found_total, 1, "{evidence:?}");
    assert_eq!(evidence.found[0].place, subject.key.to_string());
    let lines = fs::read_to_string(&to)?;
    let found = lines.lines().find(|line| line.contains(r#""kind":"match""#)).context("a match")?;
    let found: serde_json::Value = serde_json::from_str(found)?;
    let address = found["strings"][0]["offset"].as_u64().context("an address")?;
    let mut there = vec![0; secret.len()];
    let memory = fs::File::open(format!("/proc/{}/mem", running.pid()))?;
    std::os::unix::fs::FileExt::read_exact_at(&memory, &mut there, address)?;
    assert_eq!(there, secret.as_bytes(), "it stands at the address that was told");

    let hurried = Scanner { limit: Duration::ZERO, ..scanner };
    let scanned = hurried.process(&subject, &rules(&secret), &dir.path().join("hurried"))?;
    let evidence = scanned.evidence;
    let is_told = |gap: &String| gap.contains("the rest was not looked at");
    assert!(evidence.gaps.iter().any(is_told), "{evidence:?}");
    Ok(())
}

#[test]
fn a_scanner_over_its_memory_is_told_as_incomplete() -> Result<()> {
    let test = "a_scanner_over_its_memory_is_told_as_incomplete";
    let Some(scanner) = scanner(test) else { return Ok(()) };
    let scanner = Scanner { memory_bytes: 40 << 20, ..scanner };
    let dir = tempfile::tempdir()?;
    let (path, to) = (dir.path().join("large"), dir.path().join("matches"));
    fs::write(&path, vec![b'x'; 60 << 20])?;
    let evidence = scanner.path(&everywhere(), &path, &rules("needle"), &to)?.evidence;
    assert!(evidence.gaps.iter().any(|gap| gap.contains("incomplete")), "{evidence:?}");
    assert!(fs::read_to_string(&to)?.contains("incomplete"));
    Ok(())
}

#[test]
fn a_scanner_that_is_not_there_or_takes_too_long_is_an_error() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("file");
    fs::write(&path, "x")?;
    let scan = |program: &str, limit| {
        let program = program.into();
        let scanner = Scanner { program, cpu_percent: 100, memory_bytes: 1 << 30, limit };
        scanner.path(&everywhere(), &path, &rules("needle"), &dir.path().join("matches"))
    };
    let missing = scan("/nonexistent/metsuke-yara", LIMIT);
    assert!(matches!(missing, Err(ScanError::Start { .. })), "{missing:?}");
    // It takes its input and never answers.
    let mute = scan("/bin/true", Duration::from_secs(1));
    assert!(matches!(mute, Err(ScanError::Scanner(_))), "{mute:?}");
    Ok(())
}

#[test]
fn the_scanner_has_given_up_root_before_it_reads() -> Result<()> {
    needs!("the_scanner_has_given_up_root_before_it_reads", Root);
    let test = "the_scanner_has_given_up_root_before_it_reads";
    let Some(scanner) = scanner(test) else { return Ok(()) };
    let mut child = Command::new(&scanner.program)
        .args(["50", "500000000", "60"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("a pipe")?;
    // The rules are complete; it answers when it has them, and then waits for a target.
    input.write_all(b"C\0\0\0\0")?;
    let mut answer = [0; 1];
    std::io::Read::read_exact(&mut child.stdout.take().context("a pipe")?, &mut answer)?;
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let limits = fs::read_to_string(format!("/proc/{}/limits", child.id()))?;
    drop(input);
    wait::until_true("its end", LIMIT, || Ok(child.try_wait()?.is_some()))?;
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    assert_eq!(line("Uid:").split_whitespace().nth(1), Some("65534"), "{status}");
    assert_eq!(line("Gid:").split_whitespace().nth(1), Some("65534"), "{status}");
    assert_eq!(
        line("Seccomp:").split_whitespace().nth(1),
        Some("2"),
        "calls are filtered: {status}"
    );
    assert_eq!(line("NoNewPrivs:").split_whitespace().nth(1), Some("1"), "{status}");
    assert_eq!(line("CapEff:").split_whitespace().nth(1), Some("0000000000000000"), "{status}");
    let data = limits.lines().find(|line| line.starts_with("Max data size"));
    assert!(data.is_some_and(|line| line.contains("500000000")), "{limits}");
    Ok(())
}
