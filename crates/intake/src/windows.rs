//! Windows events, whatever form they came in, as records.
//!
//! Channel, provider and event id say what an event is (`windows/classes.rs`) and of which Sigma
//! service (`windows/services.rs`); this is the one table of both. Sysmon names its fields as Sigma
//! does, so those that the field table knows become typed; of other events the known ones are
//! typed *beside* their own names.

mod classes;
mod services;

use std::collections::HashMap;
use std::sync::Arc;

use metsuke_event::field::{self, FieldSpec, Group};
use metsuke_event::logsource::LogSource;
use metsuke_event::time::Timestamp;
use metsuke_event::value::Text;
use metsuke_event::{Activity, Kind, Value};

use crate::bounds;
use crate::builder::Builder;
use crate::record::{Record, Sources};
use classes::{Meaning, Variant};

/// A Windows event as its form gave it.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    pub(crate) channel: Option<Text>,
    pub(crate) provider: Option<Text>,
    pub(crate) computer: Option<Text>,
    pub(crate) event_id: u64,
    pub(crate) time: Option<Timestamp>,
    /// Every field by its name, those of `System` included, in the order of the event.
    pub(crate) fields: Vec<(Text, Value)>,
    pub(crate) number: u64,
}

/// The log sources of event `id` of `channel` by `provider`. `event_type` is the event's field of
/// that name, by which Sysmon tells deletions in the registry.
pub fn sources(channel: &str, provider: &str, id: u64, event_type: &str) -> Sources {
    let variant = variant_of_type(event_type);
    let (channel, provider) = (channel.to_ascii_lowercase(), provider.to_ascii_lowercase());
    sources_of(&channel, &classes::of(&channel, &provider, id, variant))
}

fn sources_of(channel: &str, meaning: &Meaning) -> Sources {
    if channel == "rpcfw" {
        let (product, category) = (Some("rpc_firewall"), Some("application"));
        return Arc::new([LogSource { product, category, service: None }]);
    }
    let product = Some(if channel.starts_with("linux-") { "linux" } else { "windows" });
    let service = services::of(channel);
    let categories = meaning.categories.iter().map(|category| Some(*category));
    let none = meaning.categories.is_empty().then_some(None);
    categories.chain(none).map(|category| LogSource { product, category, service }).collect()
}

fn variant_of_type(event_type: &str) -> Variant {
    if event_type.starts_with("Delete") { Variant::Deleted } else { Variant::Plain }
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug)]
struct Row {
    spec: &'static FieldSpec,
    /// Whether it stays under its own name too.
    stays: bool,
}

/// All events of one channel, id and variant.
#[derive(Debug)]
struct Class {
    kind: Kind,
    sources: Sources,
    rows: HashMap<&'static str, Row>,
    /// Fields that stand under a second name too.
    named: &'static [(&'static str, &'static str)],
}

impl Class {
    fn of(channel: &str, provider: &str, id: u64, variant: Variant) -> Self {
        let meaning = classes::of(channel, provider, id, variant);
        let kind = meaning.kind.unwrap_or(Kind::Imported);
        let mut rows = HashMap::new();
        if meaning.sigma_names && meaning.kind.is_some() {
            let own = Activity::empty(kind);
            for spec in field::FIELDS.iter() {
                let fits = spec.group == Group::Process
                    || own.specs().iter().any(|specs| specs.iter().any(|one| one.id == spec.id));
                for name in spec.sigma.iter().filter(|_| fits && spec.group != Group::Meta) {
                    // A name that means another field in one category, or of a value that is
                    // written in another way, stays.
                    if !name.contains('@') && *name != "Hashes" && !ambiguous(name) {
                        rows.insert(*name, Row { spec, stays: false });
                    }
                }
            }
        } else if meaning.sigma_names {
            for spec in field::FIELDS.iter().filter(|spec| spec.group == Group::Process) {
                for name in spec.sigma.iter().filter(|name| !name.contains('@')) {
                    rows.insert(*name, Row { spec, stays: false });
                }
            }
        }
        for (name, canonical) in meaning.also {
            if let Some(spec) = field::by_name(canonical) {
                rows.insert(*name, Row { spec, stays: true });
            }
        }
        Self { kind, sources: sources_of(channel, &meaning), rows, named: meaning.named }
    }
}

/// Whether some category means another field by `name`.
fn ambiguous(name: &str) -> bool {
    let other = |sigma: &&str| sigma.split_once('@').is_some_and(|(plain, _)| plain == name);
    field::FIELDS.iter().any(|spec| spec.sigma.iter().any(other))
}

/// A channel, a provider, and what they are.
type Known = (Text, Text, Arc<Class>);

/// Makes records of Windows events; keeps what it learnt of their classes.
#[derive(Debug, Default)]
pub(crate) struct Mapper {
    classes: HashMap<(u64, Variant), Vec<Known>>,
    count: usize,
}

impl Mapper {
    pub(crate) fn record(&mut self, raw: Raw) -> Record {
        let class = self.class(&raw);
        let mut builder = Builder::new(class.kind);
        builder.time(raw.time);
        builder.host(raw.computer);
        builder.room(raw.fields.len());
        if class.kind == Kind::Imported {
            let log = raw.channel.as_deref().or(raw.provider.as_deref());
            builder.imported(log.unwrap_or_default(), &raw.event_id.to_string());
        }
        for (name, value) in raw.fields {
            if let Some((_, second)) = class.named.iter().find(|(first, _)| **first == *name) {
                builder.keep(second, &value);
            }
            match class.rows.get(&*name) {
                Some(row) if row.stays => {
                    builder.also(row.spec, &value);
                    builder.keep(&name, &value);
                }
                Some(row) if builder.typed(row.spec, &value) => {}
                _ => builder.keep(&name, &value),
            }
        }
        Record { event: builder.done(), sources: Arc::clone(&class.sources), number: raw.number }
    }

    fn class(&mut self, raw: &Raw) -> Arc<Class> {
        let variant = variant(raw);
        let none: Text = Text::default();
        let channel = raw.channel.as_ref().unwrap_or(&none);
        let provider = raw.provider.as_ref().unwrap_or(&none);
        let known = self.classes.get(&(raw.event_id, variant)).into_iter().flatten();
        for (of, by, class) in known {
            if of == channel && by == provider {
                return Arc::clone(class);
            }
        }
        let lower = (channel.to_ascii_lowercase(), provider.to_ascii_lowercase());
        let class = Arc::new(Class::of(&lower.0, &lower.1, raw.event_id, variant));
        if self.count < bounds::CLASSES {
            self.count += 1;
            let names = (Text::clone(channel), Text::clone(provider), Arc::clone(&class));
            self.classes.entry((raw.event_id, variant)).or_default().push(names);
        }
        class
    }
}

fn variant(raw: &Raw) -> Variant {
    let field =
        |name: &str| raw.fields.iter().find(|(of, _)| **of == *name).map(|(_, value)| value);
    match raw.event_id {
        12 => match field("EventType") {
            Some(Value::Text(text)) => variant_of_type(text),
            _ => Variant::Plain,
        },
        3 => match field("Initiated") {
            Some(Value::Bool(false)) => Variant::Accepted,
            Some(Value::Text(text)) if text.eq_ignore_ascii_case("false") => Variant::Accepted,
            _ => Variant::Plain,
        },
        _ => Variant::Plain,
    }
}

/// A field's name without what Windows allows in it and rules do not: `Threat Name` is
/// `ThreatName`.
pub(crate) fn plain_name(name: &str) -> Option<String> {
    name.contains(' ').then(|| name.replace(' ', ""))
}
