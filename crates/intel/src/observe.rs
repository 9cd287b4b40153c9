//! Which fields of an event hold which kind of value, and the sightings in it.
//!
//! Fields of the acting process are looked at where it began or changed its executable, not with
//! everything it does: a process that runs a known-bad file is told once. Invariant: the fields come
//! from the one field table; a test knows every field that names a path, hash or address.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use metsuke_event::{
    Event, EventId, FieldId, NameNumber, SourceFields, Text, Timestamp, Value, ValueRef, field,
};
use serde::Serialize;

use crate::indicator::{Action, Context, Kind};
use crate::set::{Answer, Match, Set};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// A value of a kind.
    One(Kind),
    /// An address.
    Address,
    /// Addresses and domains, joined by blanks.
    Answers,
    /// Digests as Sysmon writes them: `MD5=…,SHA256=…`.
    Digests,
}

/// Most words of a field with many that are looked at: more answers than a DNS message has.
const MAX_WORDS: usize = 64;

/// Fields by name, and what they hold. Those of the acting process are marked.
const FIELDS: &[(&str, Holds)] = &[
    ("process.file.path", Holds::One(Kind::Path)),
    ("process.file.hash.sha256", Holds::One(Kind::Sha256)),
    ("process.script.path", Holds::One(Kind::Path)),
    ("file.path", Holds::One(Kind::Path)),
    ("file_diff.path", Holds::One(Kind::Path)),
    ("file.link_target", Holds::One(Kind::Path)),
    ("file.hash.sha256", Holds::One(Kind::Sha256)),
    ("file.hash.sha1", Holds::One(Kind::Sha1)),
    ("file.hash.md5", Holds::One(Kind::Md5)),
    ("src_endpoint.ip", Holds::Address),
    ("dst_endpoint.ip", Holds::Address),
    ("dst_endpoint.hostname", Holds::One(Kind::Domain)),
    ("query.hostname", Holds::One(Kind::Domain)),
    ("answers", Holds::Answers),
    ("dns_server.ip", Holds::Address),
    ("driver.file.path", Holds::One(Kind::Path)),
    ("driver.file.hash.sha256", Holds::One(Kind::Sha256)),
    ("target.process.file.path", Holds::One(Kind::Path)),
    ("memory.path", Holds::One(Kind::Path)),
    ("kernel.path", Holds::One(Kind::Path)),
    ("script.path", Holds::One(Kind::Path)),
    ("script.hash.sha256", Holds::One(Kind::Sha256)),
    ("logon.src_ip", Holds::Address),
    ("logon.src_host", Holds::One(Kind::Domain)),
    ("persistence.path", Holds::One(Kind::Path)),
    ("persistence.sha256", Holds::One(Kind::Sha256)),
    ("service.path", Holds::One(Kind::Path)),
    ("tls.sni", Holds::One(Kind::Domain)),
    ("tls.ja3_hash.value", Holds::One(Kind::Ja3)),
    ("tls.ja4", Holds::One(Kind::Ja4)),
    ("denial.sha256", Holds::One(Kind::Sha256)),
];

/// Names of fields that importers keep beside the table.
const UNMAPPED: &[(&str, Holds)] = &[
    ("Hashes", Holds::Digests),
    ("Hash", Holds::Digests),
    ("url.full", Holds::One(Kind::Url)),
    ("url.original", Holds::One(Kind::Url)),
    ("url.domain", Holds::One(Kind::Domain)),
    ("process.hash.md5", Holds::One(Kind::Md5)),
    ("process.hash.sha1", Holds::One(Kind::Sha1)),
    ("email.from.address", Holds::One(Kind::Email)),
    ("email.sender.address", Holds::One(Kind::Email)),
    ("PipeName", Holds::One(Kind::Name)),
];

/// The same by number, so that no name of an event is read: that takes a lock for each field.
static NUMBERED: LazyLock<Vec<(Option<NameNumber>, &'static str, Holds)>> = LazyLock::new(|| {
    UNMAPPED.iter().map(|(name, holds)| (NameNumber::wanted(name), *name, *holds)).collect()
});

/// Fields that importers kept beside the table and that are looked at, with what they hold.
fn unmapped(fields: &SourceFields, each: &mut dyn FnMut(&'static str, Holds, ValueRef<'_>)) {
    if fields.is_empty() {
        return;
    }
    let names = &*NUMBERED;
    // A name gets no number only when there are too many different ones.
    let by_name = names.iter().any(|(number, ..)| number.is_none());
    for (index, place) in fields.places().enumerate() {
        let found = if by_name || place.name.is_none() {
            fields.name(index).and_then(|name| names.iter().find(|known| known.1 == &*name))
        } else {
            names.iter().find(|(number, ..)| *number == place.name)
        };
        if let (Some((_, name, holds)), Some(value)) = (found, fields.at(index)) {
            each(name, *holds, value);
        }
    }
}

type Row = (FieldId, &'static str, Holds);

/// What an event of a class can hold.
static BY_CLASS: LazyLock<HashMap<metsuke_event::Kind, Vec<Row>>> = LazyLock::new(|| {
    let classes = metsuke_event::Kind::ALL.iter();
    classes.map(|class| (*class, rows(*class))).collect()
});

fn rows(class: metsuke_event::Kind) -> Vec<Row> {
    use metsuke_event::Kind as Class;
    let begins = matches!(class, Class::ProcessExec);
    let known = FIELDS.iter().filter_map(|(name, holds)| {
        let spec = field::by_name(name)?;
        let fits = if spec.group == field::Group::Process {
            begins
        } else {
            // The table says by trial what a class has.
            let sample = Value::parse(
                spec.ty,
                if spec.ty == metsuke_event::FieldType::Ip { "::1" } else { "x" },
            )?;
            let class = Value::Text(class.name().into());
            Event::from_fields([(field::meta::CLASS, class), (spec.id, sample)])
                .is_some_and(|(_, rest)| rest.is_empty())
        };
        fits.then_some((spec.id, spec.name, *holds))
    });
    known.collect()
}

/// The fields of events of `class` that are looked at, by canonical name.
pub fn fields_of(class: metsuke_event::Kind) -> impl Iterator<Item = (&'static str, Holds)> {
    let rows = BY_CLASS.get(&class).map_or(&[][..], Vec::as_slice);
    rows.iter().map(|(_, name, holds)| (*name, *holds))
}

/// Every field of the table that is looked at, and what it holds.
pub fn fields() -> impl Iterator<Item = (&'static field::FieldSpec, Holds)> {
    FIELDS.iter().filter_map(|(name, holds)| Some((field::by_name(name)?, *holds)))
}

/// What one source says of a value that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Kind of the indicator.
    pub kind: Kind,
    /// The indicator in its canonical form: the value itself, or the domain or network it lies in.
    pub indicator: String,
    /// Who says what.
    pub context: Arc<Context>,
    /// Until when it holds.
    pub expires: Option<Timestamp>,
}

/// An indicator met by a value that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sighting {
    /// The event it was seen in.
    #[serde(skip)]
    pub event: EventId,
    /// When that was.
    pub time: Timestamp,
    /// The field it stood in.
    pub field: Text,
    /// What kind of value it was seen as.
    pub kind: Kind,
    /// The value, as it was seen.
    pub value: Text,
    /// What is to be done: alert or block, or nothing since it is known good.
    pub action: Action,
    /// What every source says.
    pub said: Vec<Said>,
}

/// Meets events with a set.
#[derive(Clone, Copy, Debug)]
pub struct Matcher<'a> {
    set: &'a Set,
    now: Timestamp,
}

impl<'a> Matcher<'a> {
    /// A matcher that asks `set` for what is in force at `now`: of live events the server's clock, of
    /// history today's, since what was learnt today is looked for in what happened then.
    pub fn new(set: &'a Set, now: Timestamp) -> Self {
        Self { set, now }
    }

    /// The sightings in `event`, in the order of its fields. Allow-listed values are among them: their
    /// action says so.
    pub fn observe(&self, event: &Event) -> Vec<Sighting> {
        let mut sightings = Vec::new();
        for (id, name, holds) in BY_CLASS.get(&event.activity.kind()).into_iter().flatten() {
            if let Some(value) = event.get(*id) {
                self.look(event, (name, *holds), value, &mut sightings);
            }
        }
        unmapped(&event.unmapped, &mut |name, holds, value| {
            self.look(event, (name, holds), value, &mut sightings);
        });
        sightings
    }

    /// What is to be done about a value, and what every source says of it; `None` when nothing is said.
    pub fn said(&self, kind: Kind, value: &str) -> Option<(Action, Vec<Said>)> {
        let (answer, asked) = self.answer(kind, value);
        let action = answer.action()?;
        Some((action, answer.matches.iter().map(|one| said(one, &asked)).collect()))
    }

    /// What is to be done about a value; `None` when nothing is said of it.
    pub fn action(&self, kind: Kind, value: &str) -> Option<Action> {
        self.answer(kind, value).0.action()
    }

    fn look(
        &self,
        event: &Event,
        (field, holds): (&str, Holds),
        value: ValueRef<'_>,
        sightings: &mut Vec<Sighting>,
    ) {
        each_value(holds, value, &mut |kind, value| {
            let (answer, asked) = self.answer(kind, value);
            let Some(action) = answer.action() else { return };
            sightings.push(Sighting {
                event: event.id,
                time: event.time,
                field: field.into(),
                kind,
                value: value.into(),
                action,
                said: answer.matches.iter().map(|one| said(one, &asked)).collect(),
            });
        });
    }

    /// What is said of a value, and the form in which it was asked for.
    fn answer<'v>(&self, kind: Kind, value: &'v str) -> (Answer<'a>, Cow<'v, str>) {
        match canonical(kind, value) {
            Some(value) => (self.set.look_up(kind, &value, self.now), value),
            None => (Answer::default(), value.into()),
        }
    }
}

/// The form in which a value is asked for; `None` for what is none.
fn canonical(kind: Kind, value: &str) -> Option<Cow<'_, str>> {
    match kind {
        // Their look-ups take either case, and names that are none find nothing.
        Kind::Domain => Some(value.trim_end_matches('.').into()),
        Kind::Ipv4 | Kind::Ipv6 => Some(value.into()),
        Kind::Path if is_canonical_path(value) => Some(value.into()),
        kind if is_lower(value) && !matches!(kind, Kind::Url | Kind::Path | Kind::Email) => {
            Some(value.into())
        }
        kind => kind.normalise(value).ok().map(Cow::from),
    }
}

/// Each value in `event` that is looked at, in the form in which it is asked for, until `each` says
/// that it is enough.
pub fn each_in(event: &Event, each: &mut dyn FnMut(Kind, &str) -> bool) {
    let mut enough = false;
    let mut look = |holds, value: ValueRef<'_>| {
        each_value(holds, value, &mut |kind, value| {
            if !enough && let Some(value) = canonical(kind, value) {
                enough = each(kind, &value);
            }
        });
    };
    for (id, _, holds) in BY_CLASS.get(&event.activity.kind()).into_iter().flatten() {
        if let Some(value) = event.get(*id) {
            look(*holds, value);
        }
    }
    unmapped(&event.unmapped, &mut |_, holds, value| look(holds, value));
}

/// `asked` is the form that was looked up: places of parts are places in it.
fn said(one: &Match<'_>, asked: &str) -> Said {
    let found = one.value(asked);
    let indicator = match one.kind {
        Kind::Domain => found.to_ascii_lowercase(),
        // One written as IPv6 is met as what it is.
        Kind::Ipv4 | Kind::Ipv6 => found
            .parse::<std::net::IpAddr>()
            .map_or(found, |address| address.to_canonical().to_string()),
        _ => found,
    };
    Said { kind: one.kind, indicator, context: Arc::clone(one.context), expires: one.expires() }
}

/// The values in a field, with their kinds.
pub fn each_value(holds: Holds, value: ValueRef<'_>, each: &mut dyn FnMut(Kind, &str)) {
    let address = |address: std::net::IpAddr| {
        if address.is_ipv4() { Kind::Ipv4 } else { Kind::Ipv6 }
    };
    match (holds, value) {
        (Holds::One(kind), ValueRef::Text(text)) => each(kind, text),
        (Holds::Address, ValueRef::Ip(found)) => each(address(found), &found.to_string()),
        (Holds::Address | Holds::Answers, ValueRef::Text(text)) => {
            for word in text.split_whitespace().take(MAX_WORDS) {
                match word.parse::<std::net::IpAddr>() {
                    Ok(found) => each(address(found), word),
                    Err(_) => each(Kind::Domain, word),
                }
            }
        }
        (Holds::Digests, ValueRef::Text(text)) => {
            for part in text.split(',').take(MAX_WORDS) {
                let digest = part.rsplit('=').next().unwrap_or(part).trim();
                match digest.len() {
                    64 => each(Kind::Sha256, digest),
                    40 => each(Kind::Sha1, digest),
                    // Of Sysmon's four, IMPHASH has the length of an MD5.
                    32 if !part.trim_start().starts_with("IMPHASH") => each(Kind::Md5, digest),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn is_lower(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// Whether an absolute Unix path is its own canonical form, told without building it.
fn is_canonical_path(path: &str) -> bool {
    path.starts_with('/')
        && !path.ends_with('/')
        && !path.contains("//")
        && !path.contains("/.")
        && !path.ends_with(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use metsuke_event::{FIELDS as TABLE, FieldType, field};

    use super::{BY_CLASS, FIELDS};

    /// Fields that name a hash, path or address and are none that an indicator could meet, each with
    /// its reason.
    const LEFT: [(&str, &str); 10] = [
        ("process.parent_process.file.path", "was looked at when the parent began"),
        ("process.script.interpreter", "a program of the host"),
        ("process.cgroup", "no path of a file"),
        ("file.hash.tlsh", "a fuzzy hash is compared, not looked up"),
        ("file.hash_missing", "a reason"),
        ("connection_info.unix_path", "no file that is brought"),
        ("persistence.old_sha256", "what was there before"),
        ("account.path", "the account database"),
        ("denial.subject", "the entry that met it"),
        ("discrepancy.subject", "several things"),
    ];

    #[test]
    fn every_field_that_could_meet_an_indicator_is_known() {
        for spec in TABLE.iter() {
            let name = spec.name;
            let looks = spec.ty == FieldType::Ip
                || spec.ty == FieldType::Text
                    && ["hash", "sha256", "path", "sni", "ja3", "ja4"]
                        .iter()
                        .any(|part| name.contains(part));
            if looks {
                let known = FIELDS.iter().any(|(field, _)| *field == name);
                let left = LEFT.iter().any(|(field, _)| *field == name);
                assert!(known != left, "{name}: say what it holds, or why it is left");
            }
        }
        for (name, _) in FIELDS {
            assert!(field::by_name(name).is_some(), "{name} is no field");
            let read = BY_CLASS.values().flatten().any(|(_, field, _)| field == name);
            assert!(read, "{name} stands in no class");
        }
    }
}
