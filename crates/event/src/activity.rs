//! One observed thing: the envelope, the process that acted, and what it did.

use std::sync::Arc;

use crate::entity::{Dns, File, Health, Module, Network, Process};
use crate::field::{FieldId, FieldSpec, Group, by_id, meta};
use crate::id::EventId;
use crate::time::Timestamp;
use crate::value::{Text, Value, ValueRef};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, ocsf $class:literal $activity:literal $label:literal;)+) => {
        /// What happened: the activity's class and verb in one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name, as it stands in the field `class`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The kind called `name`.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            /// OCSF 1.4 `class_uid`, `activity_id` and `activity_name`.
            pub const fn ocsf(self) -> (u32, u32, &'static str) {
                match self { $(Self::$variant => ($class, $activity, $label),)+ }
            }
        }
    };
}

kinds! {
    /// A process was copied (fork, clone of a new thread group).
    ProcessFork = "process.fork", ocsf 1007 99 "Fork";
    /// A process began to run an executable.
    ProcessExec = "process.exec", ocsf 1007 1 "Launch";
    /// A process ended.
    ProcessExit = "process.exit", ocsf 1007 2 "Terminate";
    /// A file came to be.
    FileCreate = "file.create", ocsf 1001 1 "Create";
    /// A file's content was changed; one activity per process and inode, at close.
    FileModify = "file.modify", ocsf 1001 3 "Update";
    /// A file was removed.
    FileDelete = "file.delete", ocsf 1001 4 "Delete";
    /// A file was given another path.
    FileRename = "file.rename", ocsf 1001 5 "Rename";
    /// A sensitive file was opened for reading.
    FileRead = "file.read", ocsf 1001 2 "Read";
    /// A flow was opened by this host.
    NetworkConnect = "network.connect", ocsf 4001 1 "Open";
    /// A flow was accepted by this host.
    NetworkAccept = "network.accept", ocsf 4001 99 "Accept";
    /// A socket began to listen.
    NetworkListen = "network.listen", ocsf 4001 7 "Listen";
    /// A DNS question was asked, answered or not.
    DnsQuery = "dns.query", ocsf 4003 1 "Query";
    /// A kernel module was loaded.
    ModuleLoad = "module.load", ocsf 1002 1 "Load";
    /// A kernel module was removed.
    ModuleUnload = "module.unload", ocsf 1002 2 "Unload";
    /// The sensor speaks of itself. OCSF has no such class; it travels as the base event.
    SensorHealth = "sensor.health", ocsf 0 99 "Sensor Health";
}

/// What happened, with the entity it happened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Fork, exec or exit of [`Event::process`].
    Process(ProcessActivity),
    /// Something done to a file.
    File(FileActivity, File),
    /// Something done with a flow or socket.
    Network(NetworkActivity, Network),
    /// A DNS question.
    Dns(Dns),
    /// A kernel module loaded or unloaded.
    Module(ModuleActivity, Module),
    /// The sensor's own word.
    Health(Health),
}

/// What a process went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "documented at `Kind`")]
pub enum ProcessActivity {
    Fork,
    Exec,
    Exit,
}

/// What was done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "documented at `Kind`")]
pub enum FileActivity {
    Create,
    Modify,
    Delete,
    Rename,
    Read,
}

/// What was done with a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "documented at `Kind`")]
pub enum NetworkActivity {
    Connect,
    Accept,
    Listen,
}

/// What was done with a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "documented at `Kind`")]
pub enum ModuleActivity {
    Load,
    Unload,
}

impl Activity {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Process(ProcessActivity::Fork) => Kind::ProcessFork,
            Self::Process(ProcessActivity::Exec) => Kind::ProcessExec,
            Self::Process(ProcessActivity::Exit) => Kind::ProcessExit,
            Self::File(FileActivity::Create, _) => Kind::FileCreate,
            Self::File(FileActivity::Modify, _) => Kind::FileModify,
            Self::File(FileActivity::Delete, _) => Kind::FileDelete,
            Self::File(FileActivity::Rename, _) => Kind::FileRename,
            Self::File(FileActivity::Read, _) => Kind::FileRead,
            Self::Network(NetworkActivity::Connect, _) => Kind::NetworkConnect,
            Self::Network(NetworkActivity::Accept, _) => Kind::NetworkAccept,
            Self::Network(NetworkActivity::Listen, _) => Kind::NetworkListen,
            Self::Dns(_) => Kind::DnsQuery,
            Self::Module(ModuleActivity::Load, _) => Kind::ModuleLoad,
            Self::Module(ModuleActivity::Unload, _) => Kind::ModuleUnload,
            Self::Health(_) => Kind::SensorHealth,
        }
    }

    /// An activity of `kind` whose entity has no field set yet.
    pub fn empty(kind: Kind) -> Self {
        match kind {
            Kind::ProcessFork => Self::Process(ProcessActivity::Fork),
            Kind::ProcessExec => Self::Process(ProcessActivity::Exec),
            Kind::ProcessExit => Self::Process(ProcessActivity::Exit),
            Kind::FileCreate => Self::File(FileActivity::Create, File::default()),
            Kind::FileModify => Self::File(FileActivity::Modify, File::default()),
            Kind::FileDelete => Self::File(FileActivity::Delete, File::default()),
            Kind::FileRename => Self::File(FileActivity::Rename, File::default()),
            Kind::FileRead => Self::File(FileActivity::Read, File::default()),
            Kind::NetworkConnect => Self::Network(NetworkActivity::Connect, Network::default()),
            Kind::NetworkAccept => Self::Network(NetworkActivity::Accept, Network::default()),
            Kind::NetworkListen => Self::Network(NetworkActivity::Listen, Network::default()),
            Kind::DnsQuery => Self::Dns(Dns::default()),
            Kind::ModuleLoad => Self::Module(ModuleActivity::Load, Module::default()),
            Kind::ModuleUnload => Self::Module(ModuleActivity::Unload, Module::default()),
            Kind::SensorHealth => Self::Health(Health::default()),
        }
    }
}

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
    pub unmapped: Vec<(Text, Value)>,
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
        self.process.get(id).or_else(|| match &self.activity {
            Activity::Process(_) => None,
            Activity::File(_, file) => file.get(id),
            Activity::Network(_, network) => network.get(id),
            Activity::Dns(dns) => dns.get(id),
            Activity::Module(_, module) => module.get(id),
            Activity::Health(health) => health.get(id),
        })
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
                Some(_) => event.set_object(id, &value),
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
            process: Arc::new(Process::default()),
            activity: Activity::empty(kind),
            unmapped: Vec::new(),
        }
    }

    fn set_object(&mut self, id: FieldId, value: &Value) -> bool {
        match &mut self.activity {
            Activity::Process(_) => false,
            Activity::File(_, file) => file.set(id, value),
            Activity::Network(_, network) => network.set(id, value),
            Activity::Dns(dns) => dns.set(id, value),
            Activity::Module(_, module) => module.set(id, value),
            Activity::Health(health) => health.set(id, value),
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
