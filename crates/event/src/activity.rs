//! What happened, and to what.
//!
//! Leaves the envelope (who, when, where) to `event`. Invariant: every [`Kind`] is made by exactly
//! one variant and verb, and every variant and verb has a kind (a test goes through all).

use crate::entity::{
    Account, Denial, Discrepancy, Dns, File, Health, Imported, Kernel, Logon, Memory, Module,
    Network, Persistence, Script, Service, Target, Tls, Transition,
};
pub use crate::event::Event;
use crate::field::FieldId;
pub use crate::kind::Kind;
use crate::value::{Value, ValueRef};

macro_rules! verbs {
    ($(#[doc = $doc:literal] $name:ident { $($verb:ident = $kind:ident,)+ })+) => {
        $(
            #[doc = $doc]
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            #[expect(missing_docs, reason = "documented at `Kind`")]
            pub enum $name {
                $($verb,)+
            }

            impl $name {
                /// The kind of an activity with this verb.
                pub const fn kind(self) -> Kind {
                    match self { $(Self::$verb => Kind::$kind,)+ }
                }

                /// The verb of `kind`; `None` when it is none of these.
                pub const fn of(kind: Kind) -> Option<Self> {
                    match kind { $(Kind::$kind => Some(Self::$verb),)+ _ => None }
                }
            }
        )+
    };
}

verbs! {
    /// What a process went through.
    ProcessActivity { Fork = ProcessFork, Exec = ProcessExec, Exit = ProcessExit, }
    /// What a process changed about itself.
    TransitionActivity { SetUser = ProcessSetUser, Rename = ProcessRename, Namespace = ProcessNamespace, }
    /// What a process did to another one.
    TargetActivity { Access = ProcessAccess, Inject = ProcessInject, Signal = ProcessSignal, }
    /// What was done with memory.
    MemoryActivity { Map = MemoryMap, Protect = MemoryProtect, CreateFile = MemoryFile, }
    /// What was done to a file.
    FileActivity {
        Create = FileCreate, Modify = FileModify, Delete = FileDelete, Rename = FileRename,
        Read = FileRead, Link = FileLink, Attributes = FileAttributes, Mount = FileMount,
        Unmount = FileUnmount, RawAccess = FileRawAccess,
    }
    /// What was done with a flow.
    NetworkActivity {
        Connect = NetworkConnect, Accept = NetworkAccept, Listen = NetworkListen,
        Bind = NetworkBind, Close = NetworkClose, Raw = NetworkRaw,
    }
    /// What was done with a kernel module, or with a library.
    ModuleActivity { Load = ModuleLoad, Unload = ModuleUnload, Image = ImageLoad, }
    /// What was done to the kernel.
    KernelActivity {
        BpfLoad = BpfLoad, BpfAttach = BpfAttach, BpfDetach = BpfDetach, Exec = KernelExec,
        Setting = KernelSetting, Ring = KernelRing,
    }
    /// What became of a logon.
    LogonActivity { Logon = UserLogon, Logoff = UserLogoff, Failed = UserLogonFailed, }
    /// What was done to an account or group.
    AccountActivity { Create = AccountCreate, Modify = AccountModify, Delete = AccountDelete, }
    /// What was done to something that starts by itself.
    PersistenceActivity {
        JobCreate = JobCreate, JobModify = JobModify, JobDelete = JobDelete,
        Create = PersistenceCreate, Modify = PersistenceModify, Delete = PersistenceDelete,
    }
    /// What was done to a service.
    ServiceActivity {
        Create = ServiceCreate, Modify = ServiceModify, Delete = ServiceDelete,
        Start = ServiceStart, Stop = ServiceStop,
    }
    /// What became of the sensor.
    SensorActivity { Start = SensorStart, Stop = SensorStop, Tamper = SensorTamper, }
}

macro_rules! activities {
    (
        with_verb { $($(#[doc = $doc:literal])+ $variant:ident($verb:ident, $entity:ident),)+ }
        alone { $($(#[doc = $lone_doc:literal])+ $lone:ident($lone_entity:ident) = $kind:ident,)+ }
    ) => {
        /// What happened, with the entity it happened to.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Activity {
            /// Fork, exec or exit of [`Event::process`].
            Process(ProcessActivity),
            /// A TLS client greeted the other end of a flow.
            Tls(Network, Tls),
            $($(#[doc = $doc])+ $variant($verb, $entity),)+
            $($(#[doc = $lone_doc])+ $lone($lone_entity),)+
        }

        impl Activity {
            /// Its kind.
            pub const fn kind(&self) -> Kind {
                match self {
                    Self::Process(what) => what.kind(),
                    Self::Tls(..) => Kind::TlsHello,
                    $(Self::$variant(what, _) => what.kind(),)+
                    $(Self::$lone(_) => Kind::$kind,)+
                }
            }

            /// An activity of `kind` whose entity has no field set yet.
            pub fn empty(kind: Kind) -> Self {
                if let Some(what) = ProcessActivity::of(kind) {
                    return Self::Process(what);
                }
                $(if let Some(what) = $verb::of(kind) {
                    return Self::$variant(what, $entity::default());
                })+
                match kind {
                    Kind::TlsHello => Self::Tls(Network::default(), Tls::default()),
                    $(Kind::$kind => Self::$lone($lone_entity::default()),)+
                    _ => Self::Health(Health::default()),
                }
            }

            /// Calls `visit` for every field of its entity that is set.
            pub fn visit<'s>(&'s self, visit: &mut impl FnMut(FieldId, ValueRef<'s>)) {
                match self {
                    Self::Process(_) => {}
                    Self::Tls(network, tls) => {
                        network.visit(visit);
                        tls.visit(visit);
                    }
                    $(Self::$variant(_, entity) => entity.visit(visit),)+
                    $(Self::$lone(entity) => entity.visit(visit),)+
                }
            }

            /// The value of field `id` of its entity; `None` when unset or not one of its fields.
            pub fn get(&self, id: FieldId) -> Option<ValueRef<'_>> {
                match self {
                    Self::Process(_) => None,
                    Self::Tls(network, tls) => network.get(id).or_else(|| tls.get(id)),
                    $(Self::$variant(_, entity) => entity.get(id),)+
                    $(Self::$lone(entity) => entity.get(id),)+
                }
            }

            /// Sets field `id` of its entity; false when it has none such or of another type.
            pub(crate) fn set(&mut self, id: FieldId, value: &Value) -> bool {
                match self {
                    Self::Process(_) => false,
                    Self::Tls(network, tls) => network.set(id, value) || tls.set(id, value),
                    $(Self::$variant(_, entity) => entity.set(id, value),)+
                    $(Self::$lone(entity) => entity.set(id, value),)+
                }
            }

            /// The rows of the field table that its entities have, each list ordered by number.
            pub const fn specs(&self) -> [&'static [crate::FieldSpec]; 2] {
                match self {
                    Self::Process(_) => [&[], &[]],
                    Self::Tls(..) => [Network::SPECS, Tls::SPECS],
                    $(Self::$variant(..) => [$entity::SPECS, &[]],)+
                    $(Self::$lone(_) => [$lone_entity::SPECS, &[]],)+
                }
            }
        }
    };
}

activities! {
    with_verb {
        /// Something [`Event::process`] changed about itself.
        Transition(TransitionActivity, Transition),
        /// Something done to another process.
        Target(TargetActivity, Target),
        /// Something done with memory.
        Memory(MemoryActivity, Memory),
        /// Something done to a file.
        File(FileActivity, File),
        /// Something done with a flow or socket.
        Network(NetworkActivity, Network),
        /// A kernel module or library loaded or unloaded.
        Module(ModuleActivity, Module),
        /// Something done to the kernel.
        Kernel(KernelActivity, Kernel),
        /// A logon, logoff or failed logon.
        Logon(LogonActivity, Logon),
        /// Something done to an account or group.
        Account(AccountActivity, Account),
        /// Something done to what starts by itself.
        Persistence(PersistenceActivity, Persistence),
        /// Something done to a service.
        Service(ServiceActivity, Service),
        /// What became of the sensor.
        Sensor(SensorActivity, Health),
    }
    alone {
        /// A DNS question.
        Dns(Dns) = DnsQuery,
        /// A script or a line of one.
        Script(Script) = ScriptExecute,
        /// Something denied, or that would have been.
        Denial(Denial) = Denial,
        /// A difference between two views of the host.
        Discrepancy(Discrepancy) = Discrepancy,
        /// Something out of another product's log whose meaning is not known here.
        Imported(Imported) = Imported,
        /// The sensor's own word.
        Health(Health) = SensorHealth,
    }
}

#[cfg(test)]
mod tests {
    use super::{Activity, Kind};

    #[test]
    fn every_kind_has_its_activity() {
        for kind in Kind::ALL {
            assert_eq!(Activity::empty(*kind).kind(), *kind);
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
        }
    }
}
