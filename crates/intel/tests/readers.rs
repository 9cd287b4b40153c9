//! The readers, through their doors: what is taken, what is told, and that no bytes break them.

use metsuke_intel::read::{self, Format, Origin};
use metsuke_intel::{Indicator, Kind, Problem, Severity};
use proptest::prelude::*;

fn origin() -> Origin {
    Origin { source: "feed".into(), document: Some("today".into()), ..Origin::default() }
}

fn values(found: &[Indicator]) -> Vec<String> {
    found.iter().map(|one| format!("{} {}", one.kind.name(), one.value)).collect()
}

fn told(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn stix(pattern: &str) -> (Vec<String>, String) {
    let object = serde_json::json!({
        "type": "bundle", "id": "bundle--1", "objects": [
            {"type": "indicator", "id": "indicator--1", "spec_version": "2.1",
             "pattern": pattern, "pattern_type": "stix", "confidence": 80,
             "valid_from": "2026-01-02T03:04:05Z", "valid_until": "2027-01-02T03:04:05.5Z",
             "indicator_types": ["malicious-activity"]},
        ]
    });
    let (found, problems) = read::stix(object.to_string().as_bytes(), &origin());
    (values(&found), told(&problems))
}

const SHA256: &str = "0a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223242526272829";

#[test]
fn stix_patterns() {
    for (pattern, expected, problem) in [
        (format!("[file:hashes.'SHA-256' = '{}']", SHA256.to_uppercase()), vec![format!("sha256 {SHA256}")], ""),
        (
            format!("[file:hashes.'SHA-256' = '{SHA256}' AND file:name = 'a.exe']"),
            vec![format!("sha256 {SHA256}")],
            "of 2 conditions joined by AND the 1 with hashes are taken",
        ),
        (
            "[ipv4-addr:value = '198.51.100.7' OR domain-name:value IN ('Evil.example', 'b.example')]".into(),
            vec!["ipv4 198.51.100.7".into(), "domain evil.example".into(), "domain b.example".into()],
            "",
        ),
        (
            "[ipv4-addr:value ISSUBSET '198.51.100.0/24'] FOLLOWEDBY [url:value = 'http://a.example/\\'x'] WITHIN 5 SECONDS".into(),
            vec!["cidr 198.51.100.0/24".into(), "url http://a.example/'x".into()],
            "the order of FOLLOWEDBY is not looked at",
        ),
        ("[file:name LIKE 'a%']".into(), vec![], "not understood: `file:name LIKE 'a%'`"),
        ("[NOT domain-name:value = 'a.example']".into(), vec![], "not understood: `NOT domain-name:value = 'a.example'`"),
        ("[domain-name:value NOT = 'a.example']".into(), vec![], "not understood"),
        ("[domain-name:value = 'a.example'".into(), vec![], "`]` expected, the end found"),
        ("[mutex:name = 'Global\\\\x1']".into(), vec!["name Global\\x1".into()], ""),
        (
            "[network-traffic:dst_ref.value = '2001:db8::1' AND network-traffic:dst_port = 443]".into(),
            vec!["ipv6 2001:db8::1".into()],
            "they match more than was asked for",
        ),
    ] {
        let (found, problems) = stix(&pattern);
        assert_eq!(found, expected, "{pattern}\n{problems}");
        assert!(problems.contains(problem), "{pattern}\n{problems}");
        assert!(!problem.is_empty() || problems.is_empty(), "{pattern}\n{problems}");
    }
}

#[test]
fn stix_says_what_it_says() {
    let object = serde_json::json!([
        {"type": "indicator", "id": "indicator--1", "pattern": "[domain-name:value = 'a.example']",
         "confidence": 80, "valid_from": "2026-01-02T03:04:05Z", "valid_until": "2027-01-02T03:04:05Z",
         "labels": ["c2"]},
        {"type": "indicator", "id": "indicator--2", "pattern_type": "yara", "pattern": "rule x {}"},
        {"type": "indicator", "id": "indicator--3", "revoked": true, "pattern": "[url:value = 'x']"},
        {"type": "malware", "id": "malware--1"},
    ]);
    let (found, problems) = read::stix(object.to_string().as_bytes(), &origin());
    assert_eq!(found.len(), 1);
    let one = &found[0];
    assert_eq!(one.object.as_deref(), Some("indicator--1"));
    assert_eq!(one.context.confidence, Some(80));
    assert_eq!((&*one.context.source, one.context.document.as_deref()), ("feed", Some("today")));
    assert_eq!(one.context.labels, ["c2".into()]);
    assert_eq!(one.expires.map(|time| time.to_string()).as_deref(), Some("2027-01-02T03:04:05Z"));
    let problems = told(&problems);
    for part in [
        "indicator--2: left out: its pattern is in the language `yara`",
        "indicator--3: note: is revoked",
        "1 × `malware`",
    ] {
        assert!(problems.contains(part), "{problems}");
    }
}

#[test]
fn misp_events() {
    let event = serde_json::json!({"response": [{"Event": {
        "info": "A campaign", "threat_level_id": "1", "Tag": [{"name": "tlp:green"}],
        "Attribute": [
            {"type": "ip-dst|port", "value": "198.51.100.7|443", "to_ids": true, "uuid": "u1"},
            {"type": "filename|sha256", "value": format!("a.exe|{SHA256}"), "to_ids": "1", "uuid": "u2"},
            {"type": "domain", "value": "quiet.example", "to_ids": false, "uuid": "u3"},
            {"type": "filename", "value": "a.exe", "to_ids": true, "uuid": "u4"},
            {"type": "yara", "value": "rule", "to_ids": true, "uuid": "u5"},
            {"type": "md5", "value": "xyz", "to_ids": true, "uuid": "u6"},
        ],
        "Object": [{"Attribute": [{"type": "domain|ip", "value": "b.example|203.0.113.9", "to_ids": true,
            "timestamp": "1790000000", "uuid": "u7"}]}],
    }}]});
    let (found, problems) = read::misp(event.to_string().as_bytes(), &origin());
    assert_eq!(
        values(&found),
        ["ipv4 198.51.100.7", &format!("sha256 {SHA256}"), "domain b.example", "ipv4 203.0.113.9"]
    );
    assert_eq!(found[0].context.severity, Severity::High);
    assert_eq!(found[0].context.labels, ["A campaign".into(), "tlp:green".into()]);
    assert!(found[1].context.labels.contains(&"a.exe".into()));
    assert!(found[2].first_seen.is_some());
    let problems = told(&problems);
    for part in [
        "1 × not for detection",
        "1 × type `filename`",
        "1 × type `yara`",
        "u6: left out: `xyz` is no md5",
    ] {
        assert!(problems.contains(part), "{part}\n{problems}");
    }
}

#[test]
fn openioc_criteria() {
    let text = r#"<?xml version="1.0"?><OpenIOC xmlns="http://openioc.org/schemas/OpenIOC_1.1" id="1">
      <metadata><short_description>A &amp; B</short_description></metadata>
      <criteria><Indicator id="a" operator="OR">
        <IndicatorItem id="i1" condition="is"><Context document="FileItem" search="FileItem/Md5sum"/>
          <Content type="md5">0123456789ABCDEF0123456789abcdef</Content></IndicatorItem>
        <IndicatorItem id="i2" condition="contains"><Context search="Network/DNS"/>
          <Content type="string">c2.evil.example</Content></IndicatorItem>
        <IndicatorItem id="i3" condition="matches"><Context search="FileItem/FullPath"/>
          <Content type="string">.*x</Content></IndicatorItem>
        <Indicator operator="AND">
          <IndicatorItem condition="is"><Context search="FileItem/Sha1sum"/>
            <Content type="sha1">000102030405060708090a0b0c0d0e0f10111213</Content></IndicatorItem>
          <IndicatorItem condition="is"><Context search="FileItem/SizeInBytes"/><Content>7</Content></IndicatorItem>
        </Indicator>
      </Indicator></criteria></OpenIOC>"#;
    let (found, problems) = read::openioc(text.as_bytes(), &origin());
    assert_eq!(
        values(&found),
        [
            "md5 0123456789abcdef0123456789abcdef",
            "domain c2.evil.example",
            "sha1 000102030405060708090a0b0c0d0e0f10111213"
        ]
    );
    assert_eq!(found[0].context.labels, ["A & B".into()]);
    let problems = told(&problems);
    assert!(problems.contains("not understood: FileItem/FullPath matches `.*x` i3"), "{problems}");
    assert!(problems.contains("the 1 with hashes are taken"), "{problems}");
}

#[test]
fn tables() {
    let named = "\u{feff}indicator;type;confidence;valid_until;tags;action\n\
        evil[.]example;domain;90;2027-01-01;c2,bot;block\n\
        198.51.100.7:443;ip:port;;;;\n\
        nothing;domain;;;;\n";
    let (found, problems) = read::csv(named.as_bytes(), &origin());
    assert_eq!(values(&found), ["domain evil.example", "ipv4 198.51.100.7"]);
    assert_eq!(found[0].context.confidence, Some(90));
    assert_eq!(found[0].context.action.name(), "block");
    assert_eq!(found[0].context.labels, ["c2".into(), "bot".into()]);
    assert!(found[0].expires.is_some());
    assert!(told(&problems).contains("line 4: left out: `nothing`"), "{}", told(&problems));

    let commented = format!(
        "# comment\n# \"first_seen_utc\",\"ioc_id\",\"ioc_value\",\"ioc_type\"\n\
         \"2026-11-22 10:00:00\",\"17\",\"{SHA256}\",\"sha256_hash\"\n"
    );
    let (found, problems) = read::csv(commented.as_bytes(), &origin());
    assert_eq!(values(&found), [format!("sha256 {SHA256}")], "{}", told(&problems));
    assert_eq!(found[0].object.as_deref(), Some("17"));
    assert!(found[0].first_seen.is_some());

    let unnamed = "1,a.example,x\n2,b.example,y\n";
    let (found, problems) = read::csv(unnamed.as_bytes(), &origin());
    assert_eq!(values(&found), ["domain a.example", "domain b.example"]);
    assert!(told(&problems).contains("looked for in column 2"), "{}", told(&problems));
}

#[test]
fn lists() {
    let text = "# a list\n0.0.0.0 ads.example\n127.0.0.1 localhost\n||track.example^\n\
        hxxp://evil[.]example/a # see\n10.0.0.0/8\nb\u{fc}cher.example\n0.0.0.0\ncom\n!\n";
    let (found, problems) = read::list(text.as_bytes(), &origin());
    assert_eq!(
        values(&found),
        [
            "domain ads.example",
            "domain track.example",
            "url http://evil.example/a",
            "cidr 10.0.0.0/8",
            "domain xn--bcher-kva.example"
        ]
    );
    assert_eq!(problems.len(), 2, "{}", told(&problems));
}

#[test]
fn reports_and_their_false_friends() {
    let text = "The actor (version 10.1.2.3) ran cmd.exe and rundll32.exe, then System.Net.WebClient.\n\
        It fetched hxxps://cdn.evil[.]top/x.php?id=1, and beaconed to 198.51.100[.]7 (evil-c2[.]zip).\n\
        MD5: 0123456789abcdef0123456789abcdef; JA3 0123456789abcdef0123456789abcde0.\n\
        Internal hosts 10.20.30.40 spoke to update.evil.com. Mail: bob(at)evil[.]example, e.g. at 12:30.\n\
        It wrote /tmp/.x/kworker and read /etc/passwd; C:\\Users\\Public\\a.dll too. 198.51.100[.]7 again.\n";
    let found = read::findings(text);
    let shown: Vec<_> =
        found.iter().map(|one| format!("{} {}", one.kind.name(), one.value)).collect();
    assert_eq!(
        shown,
        [
            "url https://cdn.evil.top/x.php?id=1",
            "ipv4 198.51.100.7",
            "domain evil-c2.zip",
            "md5 0123456789abcdef0123456789abcdef",
            "ja3 0123456789abcdef0123456789abcde0",
            "ipv4 10.20.30.40",
            "domain update.evil.com",
            "email bob@evil.example",
            "path /tmp/.x/kworker",
            "path c:\\users\\public\\a.dll",
        ]
    );
    let address = &found[1];
    assert_eq!((address.line, address.count, address.defanged), (2, 2, true));
    assert!(text[address.offset..].starts_with("198.51.100[.]7"));
    assert!(address.context.contains("and beaconed to 198.51.100[.]7"), "{}", address.context);
    assert_eq!(found[5].caution, Some("private"));
}

#[test]
fn formats_are_recognised() {
    for (text, format) in [
        ("<?xml version=\"1.0\"?><ioc/>", Format::OpenIoc),
        ("{\"type\": \"bundle\"}", Format::Stix),
        ("{\"Event\": {}}", Format::Misp),
        ("a.example\nb.example\n", Format::List),
        ("a,b\nc,d\n", Format::Csv),
        ("The actor used evil[.]example for this.\n", Format::Report),
    ] {
        assert_eq!(Format::guess(text.as_bytes()), format, "{text}");
    }
}

#[test]
fn canonical_forms() {
    for (kind, text, expected) in [
        (Kind::Domain, "*.EVIL.Example.", Some("evil.example")),
        (Kind::Domain, "_dmarc.evil.example", Some("_dmarc.evil.example")),
        (Kind::Domain, "bücher.example", Some("xn--bcher-kva.example")),
        (Kind::Domain, "example", None),
        (Kind::Domain, "1.2.3.4", None),
        (Kind::Domain, "a..b", None),
        (Kind::Url, "HTTP://user:x@Evil.Example:80/a/../b#c", Some("http://evil.example/b")),
        (Kind::Url, "evil.example/x", Some("http://evil.example/x")),
        (Kind::Url, "http://evil.example/?a`#b", Some("http://evil.example/?a")),
        (Kind::Url, "http://evil[.\t]example/x[\t.]php", Some("http://evil.example/x.php")),
        (Kind::Url, "javascript:alert(1)", None),
        (Kind::Ipv4, "198[.]51[.]100[.]7", Some("198.51.100.7")),
        (Kind::Ipv4, "0.0.0.0", None),
        (Kind::Ipv6, "2001:DB8:0::1", Some("2001:db8::1")),
        (Kind::Ipv6, "::ffff:198.51.100.7", None),
        (Kind::Cidr, "198.51.100.7/24", Some("198.51.100.0/24")),
        (Kind::Cidr, "0.0.0.0/0", None),
        (Kind::Path, "/tmp//a/./b/../c/", Some("/tmp/a/c")),
        (Kind::Path, "C:/Windows\\Temp\\A.exe", Some("c:\\windows\\temp\\a.exe")),
        (Kind::Path, "%TEMP%\\a.exe", None),
        (Kind::Path, "cmd.exe", None),
        (Kind::Md5, "d41d8cd98f00b204e9800998ecf8427e", None),
        (
            Kind::Ja4,
            "t13d1516h2_8daaf6152771_E5627EFA2AB1",
            Some("t13d1516h2_8daaf6152771_e5627efa2ab1"),
        ),
        (
            Kind::Certificate,
            "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13",
            Some("000102030405060708090a0b0c0d0e0f10111213"),
        ),
        (Kind::Email, "Bob(at)Evil[.]Example", Some("bob@evil.example")),
        (Kind::Name, "abc", None),
    ] {
        assert_eq!(kind.normalise(text).ok().as_deref(), expected, "{} {text}", kind.name());
    }
}

/// Pieces that lead readers astray more often than random bytes do.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "hxxp",
        "://",
        "[.]",
        "(dot)",
        "evil",
        ".example",
        "198.51.100.7",
        "/24",
        "::1",
        "[",
        "]",
        "(",
        ")",
        "'",
        "\"",
        "\\",
        "file:hashes.'MD5'",
        " = ",
        " AND ",
        " OR ",
        "NOT",
        "IN",
        "WITHIN",
        "\n",
        ",",
        ";",
        "#",
        "<ioc>",
        "</ioc>",
        "<IndicatorItem condition='is'>",
        "&#x41;",
        "&x;",
        "<Content>",
        "{\"Event\":",
        "}",
        "\"Attribute\":[",
        "{\"type\":\"indicator\",\"pattern\":\"",
        "é",
        "\u{202e}",
        "0123456789abcdef",
        "@",
        "..",
        "/tmp/",
        "C:\\",
        " ",
        "%",
        "xn--",
        "|",
        "\t",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_break_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for (_, format) in Format::ALL {
            let _ = format.read(&bytes, &origin());
        }
    }

    #[test]
    fn no_text_breaks_a_reader_and_forms_are_canonical(text in pieces()) {
        let pattern = serde_json::json!({"type": "indicator", "pattern": text}).to_string();
        for (_, format) in Format::ALL {
            for text in [&text, &pattern] {
                for one in format.read(text.as_bytes(), &origin()).0 {
                    let again = one.kind.normalise(&one.value);
                    prop_assert_eq!(again.as_deref(), Ok(&*one.value));
                }
            }
        }
        for kind in Kind::ALL {
            if let Ok(value) = kind.normalise(&text) {
                let again = kind.normalise(&value);
                prop_assert_eq!(again.as_ref(), Ok(&value), "{:?} of {:?}", kind, text);
            }
        }
        for finding in read::findings(&text) {
            prop_assert!(text.is_char_boundary(finding.offset));
        }
    }
}
