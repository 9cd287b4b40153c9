//! One activity with its envelope, and how it is read and built by field.

use std::sync::{Arc, OnceLock};

use crate::activity::Activity;
use crate::entity::Process;
use crate::field::{FieldId, FieldSpec, Group, by_id, meta};
use crate::id::EventId;
use crate::kind::Kind;
use crate::source_fields::SourceFields;
use crate::time::Timestamp;
use crate::value::{Text, Value, ValueRef};

/// One activity with its envelope: what travels, is matched, stored and searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Identity.
    pub id: EventId,
    /// When it happened, by the endpoint's clock.
    pub time: Timestamp,
    /// When the server received it; unset on the sensor.
    pub received: Option<Timestamp>,
    /// Host name, as the endpoint calls itself.
    pub host: Option<Text>,
    /// The process that acted; shared, since one process does many things.
    pub process: Arc<Process>,
    /// What it did.
    pub activity: Activity,
    /// Fields of imported events that the table has no row for, by their source's name.
    pub unmapped: SourceFields,
}

impl Event {
    /// The value of field `id`, for the six envelope fields that are text identities see
    /// [`Event::get_owned`]. `None` when unset or not a field of this activity.
    pub fn get(&self, id: FieldId) -> Option<ValueRef<'_>> {
        match id {
            meta::CLASS => return Some(ValueRef::Text(self.activity.kind().name())),
            meta::TIME => return Some(ValueRef::Time(self.time)),
            meta::RECEIVED => return self.received.map(ValueRef::Time),
            meta::SEQ => return Some(ValueRef::U64(self.id.seq)),
            meta::TENANT => return Some(ValueRef::U64(u64::from(self.id.tenant.0))),
            meta::HOST => return self.host.as_deref().map(ValueRef::Text),
            _ => {}
        }
        self.process.get(id).or_else(|| self.activity.get(id))
    }

    /// The value of field `id`, endpoint and boot identity included.
    pub fn get_owned(&self, id: FieldId) -> Option<Value> {
        match id {
            meta::ENDPOINT => Some(Value::Text(self.id.endpoint.to_string().into())),
            meta::BOOT => Some(Value::Text(self.id.boot.to_string().into())),
            _ => self.get(id).map(ValueRef::to_value),
        }
    }

    /// Every field that is set, with its row; ordered by number.
    pub fn fields(&self) -> impl Iterator<Item = (&'static FieldSpec, Value)> + '_ {
        crate::field::FIELDS.iter().filter_map(|spec| Some((*spec, self.get_owned(spec.id)?)))
    }

    /// Calls `visit` for every field of its process and its activity that is set.
    pub fn visit<'s>(&'s self, visit: &mut impl FnMut(FieldId, ValueRef<'s>)) {
        if !Arc::ptr_eq(&self.process, &nobody()) {
            self.process.visit(visit);
        }
        self.activity.visit(visit);
    }

    /// Builds an event from fields, as they come from a store or the wire. Fields that the table
    /// does not know (a newer sensor's) and values of another type come back as the second part.
    ///
    /// # Errors
    /// `None` when no field names the class, or names one that is not known.
    pub fn from_fields(
        fields: impl IntoIterator<Item = (FieldId, Value)>,
    ) -> Option<(Self, Vec<(FieldId, Value)>)> {
        let fields: Vec<_> = fields.into_iter().collect();
        let kind = fields.iter().find_map(|(id, value)| match (*id, value) {
            (meta::CLASS, Value::Text(name)) => Kind::from_name(name),
            _ => None,
        })?;
        let mut event = Self::empty(kind);
        let mut process = Process::default();
        let mut rest = Vec::new();
        for (id, value) in fields {
            let group = by_id(id).map(|spec| spec.group);
            let taken = match group {
                Some(Group::Meta) => event.set_meta(id, &value),
                Some(Group::Process) => process.set(id, &value),
                Some(_) => event.activity.set(id, &value),
                None => false,
            };
            if !taken {
                rest.push((id, value));
            }
        }
        event.process = Arc::new(process);
        Some((event, rest))
    }

    /// An event of `kind` with nothing else known.
    pub fn empty(kind: Kind) -> Self {
        Self {
            id: EventId::default(),
            time: Timestamp::default(),
            received: None,
            host: None,
            process: nobody(),
            activity: Activity::empty(kind),
            unmapped: SourceFields::default(),
        }
    }

    /// Sets field `id`; false when this activity has none such, or of another type. The class is
    /// what the activity is, and cannot be set.
    pub fn set(&mut self, id: FieldId, value: &Value) -> bool {
        match by_id(id).map(|spec| spec.group) {
            Some(Group::Meta) => id != meta::CLASS && self.set_meta(id, value),
            Some(Group::Process) => Arc::make_mut(&mut self.process).set(id, value),
            Some(_) => self.activity.set(id, value),
            None => false,
        }
    }

    fn set_meta(&mut self, id: FieldId, value: &Value) -> bool {
        match (id, value) {
            (meta::CLASS, Value::Text(_)) => true,
            (meta::TIME, Value::Time(time)) => {
                self.time = *time;
                true
            }
            (meta::RECEIVED, Value::Time(time)) => {
                self.received = Some(*time);
                true
            }
            (meta::ENDPOINT, Value::Text(text)) => {
                text.parse().map(|endpoint| self.id.endpoint = endpoint).is_ok()
            }
            (meta::BOOT, Value::Text(text)) => text.parse().map(|boot| self.id.boot = boot).is_ok(),
            (meta::SEQ, Value::U64(seq)) => {
                self.id.seq = *seq;
                true
            }
            (meta::TENANT, Value::U64(tenant)) => {
                u32::try_from(*tenant).map(|tenant| self.id.tenant.0 = tenant).is_ok()
            }
            (meta::HOST, Value::Text(host)) => {
                self.host = Some(Text::clone(host));
                true
            }
            _ => false,
        }
    }
}

/// The process of events that say nothing of one: the same for all of them.
fn nobody() -> Arc<Process> {
    static NOBODY: OnceLock<Arc<Process>> = OnceLock::new();
    Arc::clone(NOBODY.get_or_init(Arc::default))
}
