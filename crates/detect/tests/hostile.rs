//! Documents made to exhaust: each is refused by a bound or costs little, whatever its reader does.

use metsuke_detect::{Document, Engine, compile};
use metsuke_event::logsource::LogSource;
use metsuke_event::{Event, Kind, ValueRef};

fn document(detection: &str) -> Document {
    let text = format!("title: T\nid: t\nlogsource: {{product: test}}\ndetection:\n{detection}\n");
    Document { path: "t.yml".to_owned(), text }
}

fn code(detection: &str) -> &'static str {
    let (_, refused) = compile([document(detection)]);
    refused.first().map_or("compiled", |one| one.reason.code())
}

fn list(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(", ")
}

#[test]
fn what_grows_beyond_measure_is_refused() {
    let large = list(64, |index| format!(r"'{index}\w{{1,64}}'"));
    assert_eq!(code(&format!("  s: {{F|re: [{large}]}}\n  condition: s")), "too_large");
    let few = list(3, |index| format!(r"'{index}\w{{1,64}}'"));
    assert_eq!(code(&format!("  s: {{F|re: [{few}]}}\n  condition: s")), "compiled");
    assert_eq!(
        code(
            r"  s: {F|re: '(((\w{1,99}){1,99}){1,99})'}
  condition: s"
        ),
        "regex"
    );
    assert_eq!(code(&format!("  s: {{F|re: '{}'}}\n  condition: s", "(".repeat(5_000))), "regex");
    let dashes = " -a".repeat(12);
    assert_eq!(code(&format!("  s: {{F|windash: '{dashes}'}}\n  condition: s")), "too_large");
    let values = list(21_000, |index| index.to_string());
    assert_eq!(code(&format!("  s: {{F: [{values}]}}\n  condition: s")), "too_large");
    let values = list(9_000, |index| index.to_string());
    let repeated = vec!["s"; 50].join(" or ");
    let text = format!("  s: {{F: [{values}]}}\n  condition: {repeated}");
    assert_eq!(code(&text), "too_large");
    let deep = format!("{}s{}", "(".repeat(60), ")".repeat(60));
    assert_eq!(code(&format!("  s: {{F: a}}\n  condition: {deep}")), "too_large");
}

#[test]
fn filter_documents_are_not_multiplied_without_bound() {
    let rules = (0..400).map(|index| {
        let document = document("  s: {F: a}\n  condition: s");
        Document { text: document.text.replace("id: t", &format!("id: r{index}")), ..document }
    });
    let values = list(9_000, |index| index.to_string());
    let filter = format!(
        "title: F\nid: f\nlogsource: {{product: test}}\nfilter: {{rules: any, s: {{F: [{values}]}}, condition: s}}"
    );
    let filter = Document { path: "f.yml".to_owned(), text: filter };
    let (rules, refused) = compile(rules.chain([filter]));
    assert_eq!((rules.filters().len(), rules.narrowings(), refused.len()), (400, 0, 1));
    assert_eq!(refused[0].reason.code(), "too_large");
}

#[test]
fn matching_is_bounded_by_length_and_pattern() {
    let stars = "*a".repeat(200);
    let detection = format!(
        "  s: {{F: '{stars}b'}}\n  r: {{F|re: '^(a+)+$'}}\n  k: ['{stars}c']\n  condition: s or r or k"
    );
    let (rules, refused) = compile([document(&detection)]);
    assert!(refused.is_empty(), "{}", refused[0]);
    let mut event = Event::empty(Kind::SensorHealth);
    event.unmapped.push("F", ValueRef::Text(&format!("{}!", "a".repeat(60_000))));
    let source = LogSource { product: Some("test"), category: None, service: None };
    // It ends: a backtracking matcher would not in a lifetime.
    assert!(Engine::new(rules).filters_only_as(&event, &[source]).is_empty());
}

#[test]
fn a_long_value_is_cut_at_a_character() {
    let (rules, refused) = compile([document(
        "  s: {F|startswith: 'aaa'}\n  t: {F|endswith: '®'}\n  condition: s and not t",
    )]);
    assert!(refused.is_empty(), "{}", refused[0]);
    let mut event = Event::empty(Kind::SensorHealth);
    // A sign of two bytes lies across the bound; it has no case, so the value is taken as it stands.
    let value = format!("{}®®", "a".repeat(metsuke_detect::bounds::VALUE_BYTES - 1));
    event.unmapped.push("F", ValueRef::Text(&value));
    let source = LogSource { product: Some("test"), category: None, service: None };
    assert_eq!(Engine::new(rules).filters_only_as(&event, &[source]).len(), 1);
}
