//! From indicators to a question to history: a predicate that every activity fulfils which meets one
//! of them, and not many others. What it gives is met with the indicators themselves afterwards.

use std::collections::HashMap;
use std::net::IpAddr;

use metsuke_event::field::{Group, meta};
use metsuke_event::{FieldSpec, FieldType, Value};
use metsuke_hunt::{Pattern, Piece, Predicate, Test};
use metsuke_intel::observe::{self, Holds};
use metsuke_intel::{Indicator, Kind};

/// Values asked for one by one on one field; with more, every activity that has the field is met.
const MAX_EXACT: usize = 2_000;
/// The same for tests that look at every value: patterns and networks.
const MAX_TESTS: usize = 32;

/// Indicators of one kind: their values, or only that there are too many to ask for one by one.
#[derive(Debug, Default)]
struct Values {
    list: Vec<String>,
    many: bool,
}

/// Gathers indicators and makes the question.
#[derive(Debug, Default)]
pub(crate) struct Question {
    kinds: HashMap<Kind, Values>,
}

/// What a field is asked.
enum Asked {
    Nothing,
    /// One of these.
    Tests(Vec<Test>),
    /// It is set.
    Set,
}

impl Question {
    pub(crate) fn add(&mut self, indicator: &Indicator) {
        let values = self.kinds.entry(indicator.kind).or_default();
        if values.list.len() < MAX_EXACT {
            values.list.push(indicator.value.to_string());
        } else {
            values.many = true;
        }
    }

    /// Whether imported fields without a row in the table may hold one of them.
    pub(crate) fn wants_unmapped(&self) -> bool {
        self.kinds.keys().any(|kind| !matches!(kind, Kind::Path | Kind::Ja3 | Kind::Ja4))
    }

    /// The predicate; `None` when no field of the table can hold any of them.
    pub(crate) fn predicate(&self) -> Option<Predicate> {
        let (mut any, mut begins) = (Vec::new(), Vec::new());
        for (spec, holds) in observe::fields() {
            let tests = match self.asked(holds, spec.ty) {
                Asked::Nothing => continue,
                Asked::Set => vec![Test::Exists],
                Asked::Tests(tests) => tests,
            };
            let place = if spec.group == Group::Process { &mut begins } else { &mut any };
            place.extend(tests.into_iter().map(|test| field(spec, test)));
        }
        // As in the stream: a process is looked at when it begins, not with everything it does.
        if !begins.is_empty() {
            let exec = Value::Text(metsuke_event::Kind::ProcessExec.name().into());
            let exec = Predicate::Field(meta::CLASS, Test::Equals(exec));
            any.push(Predicate::And(vec![exec, Predicate::Or(begins)]));
        }
        (!any.is_empty()).then_some(Predicate::Or(any))
    }

    fn asked(&self, holds: Holds, ty: FieldType) -> Asked {
        match holds {
            Holds::One(kind) => self.of_kind(kind),
            Holds::Address => {
                let exact =
                    [Kind::Ipv4, Kind::Ipv6].map(|kind| self.tests(kind, MAX_EXACT, address));
                let networks = self.tests(Kind::Cidr, MAX_TESTS, network);
                if ty != FieldType::Ip {
                    // An address as text may be written in many ways.
                    return self.present(&[Kind::Ipv4, Kind::Ipv6, Kind::Cidr]);
                }
                all(exact.into_iter().chain([networks]))
            }
            Holds::Answers => {
                let kinds = [Kind::Ipv4, Kind::Ipv6, Kind::Domain];
                let found = kinds.map(|kind| self.tests(kind, MAX_TESTS, containing));
                all(found.into_iter().chain([self.present(&[Kind::Cidr])]))
            }
            Holds::Digests => Asked::Nothing,
        }
    }

    fn of_kind(&self, kind: Kind) -> Asked {
        match kind {
            Kind::Domain => all([
                self.tests(kind, MAX_TESTS, whole),
                self.tests(kind, MAX_TESTS, |name| below(name).map_or(Test::Exists, Test::Like)),
            ]),
            // Windows paths are met whatever their letters' case.
            Kind::Path if self.any(kind, |path| !path.starts_with('/')) => {
                self.tests(kind, MAX_TESTS, whole)
            }
            Kind::Url | Kind::Email | Kind::Name => self.present(&[kind]),
            kind => self.tests(kind, MAX_EXACT, |value| Test::Equals(Value::Text(value.into()))),
        }
    }

    fn any(&self, kind: Kind, test: impl Fn(&str) -> bool) -> bool {
        self.kinds.get(&kind).is_some_and(|values| values.list.iter().any(|value| test(value)))
    }

    fn present(&self, kinds: &[Kind]) -> Asked {
        if kinds.iter().any(|kind| self.kinds.contains_key(kind)) {
            Asked::Set
        } else {
            Asked::Nothing
        }
    }

    fn tests(&self, kind: Kind, most: usize, test: impl Fn(&str) -> Test) -> Asked {
        match self.kinds.get(&kind) {
            None => Asked::Nothing,
            Some(values) if values.many || values.list.len() > most => Asked::Set,
            Some(values) => Asked::Tests(values.list.iter().map(|value| test(value)).collect()),
        }
    }
}

/// Everything of `parts`: the field's being set holds all the rest.
fn all(parts: impl IntoIterator<Item = Asked>) -> Asked {
    let mut tests = Vec::new();
    for part in parts {
        match part {
            Asked::Nothing => {}
            Asked::Set => return Asked::Set,
            Asked::Tests(more) => tests.extend(more),
        }
    }
    if tests.is_empty() { Asked::Nothing } else { Asked::Tests(tests) }
}

fn field(spec: &FieldSpec, test: Test) -> Predicate {
    Predicate::Field(spec.id, test)
}

fn address(text: &str) -> Test {
    text.parse().map_or(Test::Exists, |address: IpAddr| Test::Equals(Value::Ip(address)))
}

fn network(text: &str) -> Test {
    let parts = text.split_once('/');
    let parts = parts.and_then(|(base, prefix)| Some((base.parse().ok()?, prefix.parse().ok()?)));
    parts.map_or(Test::Exists, |(base, prefix)| Test::Network { base, prefix })
}

fn whole(text: &str) -> Test {
    Pattern::whole(text).map_or(Test::Exists, Test::Like)
}

fn containing(text: &str) -> Test {
    Pattern::containing(text).map_or(Test::Exists, Test::Like)
}

/// Names below a domain.
fn below(name: &str) -> Option<Pattern> {
    Pattern::new(vec![Piece::Many, Piece::Literal(format!(".{name}"))])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metsuke_event::{Event, Value, field};
    use metsuke_intel::{Context, Indicator, Kind, Matcher, Set};

    use super::Question;

    fn indicator(kind: Kind, value: &str) -> Indicator {
        Indicator {
            kind,
            value: kind.normalise(value).expect("a value").into(),
            context: Arc::new(Context::default()),
            object: None,
            first_seen: None,
            last_seen: None,
            expires: None,
        }
    }

    fn event(class: &str, name: &str, text: &str) -> Event {
        let spec = field::by_name(name).expect("a field");
        let class = (field::meta::CLASS, Value::Text(class.into()));
        let value = (spec.id, Value::parse(spec.ty, text).expect("a value"));
        Event::from_fields([class, value]).expect("an event").0
    }

    #[test]
    fn what_meets_an_indicator_is_asked_for() {
        let hash = "ab".repeat(32);
        let mut list = vec![
            indicator(Kind::Sha256, &hash),
            indicator(Kind::Domain, "evil.example"),
            indicator(Kind::Cidr, "198.51.100.0/24"),
            indicator(Kind::Ipv4, "203.0.113.9"),
            indicator(Kind::Path, "C:\\Temp\\x.exe"),
            indicator(Kind::Ja3, "0123456789abcdef0123456789abcdef"),
        ];
        let events = [
            event("process.exec", "process.file.hash.sha256", &hash),
            event("file.create", "file.hash.sha256", &hash),
            event("dns.query", "query.hostname", "WWW.Evil.example"),
            event("dns.query", "answers", "cdn.evil.example 192.0.2.1"),
            event("dns.query", "answers", "198.51.100.7"),
            event("network.connect", "dst_endpoint.ip", "198.51.100.200"),
            event("network.connect", "dst_endpoint.ip", "203.0.113.9"),
            event("file.create", "file.path", "c:\\temp\\X.exe"),
            event("tls.client_hello", "tls.ja3_hash.value", "0123456789abcdef0123456789abcdef"),
        ];
        let others = [
            event("process.exit", "process.file.hash.sha256", &hash),
            event("dns.query", "query.hostname", "notevil.example"),
            event("network.connect", "dst_endpoint.ip", "203.0.113.10"),
        ];
        for many in [false, true] {
            if many {
                for n in 0..3_000 {
                    list.push(indicator(Kind::Sha256, &format!("{:064x}", n + 17)));
                    list.push(indicator(Kind::Domain, &format!("d{n}.example")));
                }
            }
            let (mut question, mut set) = (Question::default(), Set::builder(1));
            for one in &list {
                question.add(one);
            }
            assert_eq!(set.extend(&list), []);
            let (set, wanted) = (set.build(), question.predicate().expect("a predicate"));
            let matcher = Matcher::new(&set, metsuke_event::Timestamp::from_millis(1));
            for event in &events {
                assert!(!matcher.observe(event).is_empty(), "{event:?} meets one");
                assert!(wanted.matches(event), "{event:?} is asked for");
            }
            for event in &others {
                assert!(matcher.observe(event).is_empty(), "{event:?} meets none");
                assert!(many || !wanted.matches(event), "{event:?} is not asked for");
            }
        }
    }
}
