//! Tables of queries: what they become, what they refuse, what they match.

use std::sync::Arc;

use metsuke_event::{Activity, Event, File, Kind, Network, Process, Timestamp};
use proptest::prelude::*;

use crate::plan::Predicate;
use crate::{MAX_DEPTH, parse};

fn show(predicate: &Predicate) -> String {
    let list = |parts: &[Predicate], joint: &str| {
        let parts: Vec<String> = parts.iter().map(show).collect();
        format!("({})", parts.join(joint))
    };
    match predicate {
        Predicate::All => "all".to_owned(),
        Predicate::And(parts) => list(parts, " & "),
        Predicate::Or(parts) => list(parts, " | "),
        Predicate::Not(inner) => format!("!{}", show(inner)),
        Predicate::Field(id, test) => {
            let name = metsuke_event::field::by_id(*id).unwrap().name;
            format!("{name} {}", show_test(test))
        }
    }
}

fn show_test(test: &crate::Test) -> String {
    use crate::{End, Test};
    let value = |value: &metsuke_event::Value| value.as_ref().to_text().into_owned();
    match test {
        Test::Exists => "set".to_owned(),
        Test::Equals(wanted) => format!("= {}", value(wanted)),
        Test::Like(pattern) => format!("{pattern:?}"),
        Test::Network { base, prefix } => format!("in {base}/{prefix}"),
        Test::Within(range) => {
            let end = |bound: &Option<_>, open, shut: [&str; 2]| match bound {
                None => open,
                Some((v, End::Included)) => format!("{}{}", shut[0], value(v)),
                Some((v, End::Excluded)) => format!("{}{}", shut[1], value(v)),
            };
            let low = end(&range.low, "..".to_owned(), [">=", ">"]);
            format!("{low} {}", end(&range.high, "..".to_owned(), ["<=", "<"]))
        }
    }
}

fn check(query: &str, expect: &str) {
    let shown = match parse(query) {
        Ok(query) => show(&query.predicate),
        Err(error) => {
            let [from, to] = error.span;
            format!("{} at `{}`", error.message, &query[from..to])
        }
    };
    assert_eq!(shown, expect, "{query}");
}

#[test]
fn becomes() {
    check("", "all");
    check("  \n", "all");
    check("*", "all");
    check("pid:7", "process.pid = 7");
    check("Image:/bin/sh", "process.file.path ~/bin/sh");
    check("process.executable:/bin/*", "process.file.path ~/bin/*");
    check("exe:\"/bin/*\"", "process.file.path ~/bin/\\*");
    check("exe:/a\\*b", "process.file.path ~/a\\*b");
    check("cmd:curl", "process.cmd_line ~*curl*");
    check("cmd:\"curl -s\"", "process.cmd_line ~*curl -s*");
    check("cmd:curl*", "process.cmd_line ~curl*");
    check("user:?oot", "process.user.name ~?oot");
    check("exe:*", "process.file.path set");
    check("class:PROCESS.exec", "class = process.exec");
    check("class:process.*", "class ~process.*");
    check("pid:1 pid:2", "(process.pid = 1 & process.pid = 2)");
    check("pid:1 AND pid:2 OR pid:3", "((process.pid = 1 & process.pid = 2) | process.pid = 3)");
    check("pid:1 or not pid:2", "(process.pid = 1 | !process.pid = 2)");
    check("pid:1 (pid:2 OR pid:3)", "(process.pid = 1 & (process.pid = 2 | process.pid = 3))");
    check("NOT (pid:1 pid:2)", "!(process.pid = 1 & process.pid = 2)");
    check("pid:(1 OR 2 3)", "(process.pid = 1 | process.pid = 2 | process.pid = 3)");
    check("user:(a* AND *b)", "(process.user.name ~a* & process.user.name ~*b)");
    check("user:(NOT root)", "!process.user.name ~root");
    check("pid:[1 TO 9]", "process.pid >=1 <=9");
    check("pid:{1 TO *]", "process.pid >1 ..");
    check("pid:[* TO 9}", "process.pid .. <9");
    check("pid:[* TO *]", "process.pid set");
    check("pid:>=5", "process.pid >=5 ..");
    check("pid:<0x10", "process.pid .. <16");
    check("port:(80 OR >1024)", "(dst_endpoint.port = 80 | dst_endpoint.port >1024 ..)");
    check("exit_code:1", "there is no field `exit_code` at `exit_code`");
    check("process.exit_code:-2", "process.exit_code = -2");
    check("time:2026-11-21", "time >=2026-11-21T00:00:00Z <2026-11-22T00:00:00Z");
    check("time:[2026-11-21T09:30:00Z TO *]", "time >=2026-11-21T09:30:00Z ..");
    check("src_ip:fe80::1", "src_endpoint.ip = fe80::1");
    check("src_ip:10.0.0.0/8", "src_endpoint.ip in 10.0.0.0/8");
    check("src_ip:::ffff:10.0.0.1", "src_endpoint.ip = 10.0.0.1");
    check("src_ip:10.*", "src_endpoint.ip ~10.*");
    check("ip:1.2.3.4", "(dst_endpoint.ip = 1.2.3.4 | src_endpoint.ip = 1.2.3.4)");
    check("Initiated:yes", "connection_info.initiated = true");
    let hash = "A".repeat(64);
    let lower = "a".repeat(64);
    let any = |first: [&str; 2]| {
        let fields = [first[0], first[1], "driver.file", "script"];
        let tests = fields.map(|field| format!("{field}.hash.sha256 = {lower}"));
        format!("({})", tests.join(" | "))
    };
    check(&hash, &any(["process.file", "file"]));
    check(&format!("sha256:{hash}"), &any(["file", "process.file"]));
}

#[test]
fn full_width_signs_work() {
    check("ｐｉｄ：７", "process.pid = 7");
    check("（pid：1　ＯＲ　pid:２）", "(process.pid = 1 | process.pid = 2)");
    check("user：＊", "process.user.name set");
    check("user:ｶﾅ", "(process.user.name ~ｶﾅ | process.user.name ~カナ)");
    check("user:\"ｶﾅ\"", "process.user.name ~ｶﾅ");
    check("user:\"a＂b\"", "process.user.name ~a＂b");
    check("user:＂a\"", "process.user.name ~a");
}

#[test]
fn refuses_and_says_where() {
    check("pid:", "a value is missing here at ``");
    check("pid:x", "`process.pid` holds a number from 0 to 18446744073709551615 at `x`");
    check("pid:1*", "`process.pid` holds a number from 0 to 18446744073709551615 at `1*`");
    check("foo:1", "there is no field `foo` at `foo`");
    check("(pid:1", "this parenthesis is never closed at `(`");
    check("pid:1)", "this parenthesis was never opened at `)`");
    check("exe:\"abc", "the quotation mark is never closed at `\"abc`");
    check("AND pid:1", "there is nothing before this operator at `AND`");
    check("pid:1 OR", "the query ends where a condition should follow at ``");
    check("NOT", "the query ends where a condition should follow at ``");
    check("()", "there is no condition here at `)`");
    check("pid:[1 9]", "a range is written with TO at `9`");
    check("pid:[1 TO 9", "this range is never closed at `[`");
    check("Initiated:>1", "`connection_info.initiated` is true or false at `1`");
    check("src_ip:300.1.1.1", "`300.1.1.1` is no address at `300.1.1.1`");
    check("class:procces.exec", "no class is called `procces.exec` at `procces.exec`");
    let deep = "(".repeat(MAX_DEPTH + 1);
    check(&deep, &format!("the query is nested deeper than {MAX_DEPTH} levels at ``"));
    let long = "a ".repeat(400);
    check(&long, "the query holds more than 4096 tests at `a`");
}

#[test]
fn hints_name_what_was_meant() {
    let hint = |query: &str| parse(query).unwrap_err().hint.unwrap();
    assert!(hint("process.cmdline:x").contains("process.cmd_line"));
    assert!(hint("commandline:x").contains("CommandLine"), "{}", hint("commandline:x"));
    assert!(hint("http://x").contains("quotes"));
}

fn sample() -> Event {
    let mut event = Event::empty(Kind::NetworkConnect);
    event.time = Timestamp::from_millis(1_000);
    event.process = Arc::new(Process {
        pid: Some(7),
        exe: Some("/usr/bin/Curl".into()),
        cmd_line: Some("curl -s http://ÄÖ.example/x".into()),
        capabilities: Some(u64::MAX),
        ..Process::default()
    });
    event.activity = Activity::Network(
        metsuke_event::activity::NetworkActivity::Connect,
        Network { dst_ip: Some("10.1.2.3".parse().unwrap()), ..Network::default() },
    );
    event
}

#[test]
fn matches() {
    let event = sample();
    for (query, wanted) in [
        ("", true),
        ("exe:/usr/bin/curl", true),
        ("exe:/usr/bin", false),
        ("exe:*/CURL", true),
        ("curl", true),
        ("äö.EXAMPLE", true),
        ("wget", false),
        ("NOT wget", true),
        ("cwd:*", false),
        ("NOT cwd:/x", true),
        ("cmd:\"-s http\"", true),
        ("cmd:cu?l*", true),
        ("ip:10.1.0.0/16", true),
        ("ip:10.1.2.3/32", true),
        ("ip:0.0.0.0/0", true),
        ("ip:::/0", false),
        ("ip:[10.1.2.0 TO 10.1.2.9]", true),
        ("10.1.2.3", true),
        ("process.capabilities:>9223372036854775807", true),
        ("time:[1970-01-01T00:00:00.5Z TO 1970-01-01T00:00:01Z]", true),
        ("time:{1970-01-01T00:00:01Z TO *]", false),
        ("time:1970-01-01 pid:(6 OR 7) class:network.connect", true),
    ] {
        assert_eq!(parse(query).unwrap().matches(&event), wanted, "{query}");
    }
}

#[test]
fn a_hash_is_found_as_file_and_as_process() {
    let hash = "ab".repeat(32);
    let mut file = Event::empty(Kind::FileModify);
    if let Activity::File(_, inner) = &mut file.activity {
        *inner = File { sha256: Some(hash.as_str().into()), ..File::default() };
    }
    let mut exec = Event::empty(Kind::ProcessExec);
    exec.process = Arc::new(Process { sha256: Some(hash.as_str().into()), ..Process::default() });
    for query in [hash.clone(), format!("sha256:{}", hash.to_uppercase())] {
        let query = parse(&query).unwrap();
        assert!(query.matches(&file) && query.matches(&exec));
        assert!(!query.matches(&sample()));
    }
}

proptest! {
    /// No text makes the parser panic, and every span lies within the text.
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,80}") {
        if let Err(error) = parse(&text) {
            prop_assert!(text.get(error.span[0]..error.span[1]).is_some(), "{:?}", error.span);
        }
    }

    /// The same with the language's own signs in plenty.
    #[test]
    fn any_signs_are_read_or_refused(text in r#"(pid|cmd|ip|time|:|"|\(|\)|\[|\]| TO | OR |NOT |\*|\?|\\|>|<|=|7|x| |：|＊){0,40}"#) {
        if let Err(error) = parse(&text) {
            prop_assert!(text.get(error.span[0]..error.span[1]).is_some(), "{:?}", error.span);
        }
    }

    /// Quoted text is found wherever it stands in a command line, whatever it holds.
    #[test]
    fn quoted_text_is_literal(before in ".{0,10}", text in ".{1,20}", after in ".{0,10}") {
        let mut event = sample();
        event.process = Arc::new(Process {
            cmd_line: Some(format!("{before}{text}{after}").into()),
            ..Process::default()
        });
        let query = format!("cmd:\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
        let read = parse(&query);
        prop_assert!(read.is_ok(), "{query}: {read:?}");
        prop_assert!(read.unwrap().matches(&event), "{query}");
    }
}
