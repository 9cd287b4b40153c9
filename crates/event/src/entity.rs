//! The entities activities are made of, and with each field its row of the one field table.
//!
//! A row reads: number, Rust name, type, canonical name (an OCSF attribute path), then what else
//! the field is called: `ecs`, Sigma names (`Name` for every log source, `Name@category` for one
//! category), and whether OCSF has a home for it (`unfit` when it has none).
//! Invariant: numbers are stable and unique over all entities (a test checks uniqueness).

#![expect(clippy::doc_markdown, reason = "the fields' docs are also shown as plain text")]

use std::net::IpAddr;

use crate::field::{FieldSpec, Group};
use crate::time::Timestamp;
use crate::value::{FieldType, Held, Text, Value, ValueRef};

macro_rules! rust_type {
    (Text) => {
        Text
    };
    (U64) => {
        u64
    };
    (I64) => {
        i64
    };
    (Bool) => {
        bool
    };
    (Ip) => {
        IpAddr
    };
    (Time) => {
        Timestamp
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}

macro_rules! fits {
    () => {
        true
    };
    (unfit) => {
        false
    };
}

macro_rules! entity {
    (
        $(#[$doc:meta])*
        $name:ident in $group:ident {
            $(
                #[doc = $field_doc:literal]
                $id:literal $field:ident: $ty:ident = $canonical:literal
                    $(, ecs $ecs:literal)? $(, sigma $($sigma:literal)+)? $(@ $unfit:ident)?;
            )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $(
                #[doc = $field_doc]
                pub $field: Option<rust_type!($ty)>,
            )+
        }

        impl $name {
            /// This entity's rows of the field table.
            pub const SPECS: &'static [FieldSpec] = &[
                $(FieldSpec {
                    id: crate::field::FieldId($id),
                    name: $canonical,
                    group: Group::$group,
                    ty: FieldType::$ty,
                    ecs: optional!($($ecs)?),
                    sigma: &[$($($sigma),+)?],
                    fits_ocsf: fits!($($unfit)?),
                    doc: $field_doc,
                },)+
            ];

            /// The value of field `id`, if it is one of this entity's and is set.
            pub fn get(&self, id: crate::field::FieldId) -> Option<ValueRef<'_>> {
                match id.0 {
                    $($id => self.$field.as_ref().map(Held::as_value),)+
                    _ => None,
                }
            }

            /// Sets field `id`; false when it is none of this entity's or the type is another.
            pub(crate) fn set(&mut self, id: crate::field::FieldId, value: &Value) -> bool {
                match id.0 {
                    $($id => match Held::from_value(value) {
                        Some(held) => {
                            self.$field = Some(held);
                            true
                        }
                        None => false,
                    },)+
                    _ => false,
                }
            }
        }
    };
}

entity! {
    /// The process that did it: for process activities the subject, otherwise the actor.
    Process in Process {
        #[doc = "Process identity BOOT-PID-TICKS, unique within the endpoint."]
        20 uid: Text = "process.uid", ecs "process.entity_id", sigma "ProcessGuid";
        #[doc = "Process (thread-group) id in the host's pid namespace."]
        21 pid: U64 = "process.pid", ecs "process.pid", sigma "ProcessId";
        #[doc = "When the process started."]
        22 start_time: Time = "process.created_time", ecs "process.start";
        #[doc = "Absolute path of the executable, as seen from the host's root."]
        23 exe: Text = "process.file.path", ecs "process.executable", sigma "Image";
        #[doc = "Short name (comm, at most 15 bytes)."]
        24 name: Text = "process.name", ecs "process.name";
        #[doc = "Command line: arguments joined by one space, at most 4,096 bytes."]
        25 cmd_line: Text = "process.cmd_line", ecs "process.command_line", sigma "CommandLine" "ProcessCommandLine";
        #[doc = "Working directory."]
        26 cwd: Text = "process.working_directory", ecs "process.working_directory", sigma "CurrentDirectory";
        #[doc = "User name of the real user id."]
        27 user_name: Text = "process.user.name", ecs "user.name", sigma "User";
        #[doc = "Real user id."]
        28 user_id: U64 = "process.user.uid", ecs "user.id", sigma "UserId";
        #[doc = "Effective user id."]
        29 effective_user_id: U64 = "process.euid", ecs "user.effective.id";
        #[doc = "Real group id."]
        30 group_id: U64 = "process.group.uid", ecs "user.group.id";
        #[doc = "Controlling terminal, for example pts/0."]
        31 tty: Text = "process.tty" @unfit;
        #[doc = "Session leader's process id."]
        32 session: U64 = "process.session.uid", ecs "process.session_leader.pid";
        #[doc = "Login user id of the audit subsystem; unset before a login."]
        33 login_user_id: U64 = "process.auid", sigma "LogonId";
        #[doc = "SHA-256 of the executable, lower-case hexadecimal."]
        34 sha256: Text = "process.file.hash.sha256", ecs "process.hash.sha256", sigma "sha256@process_creation" "Hashes@process_creation";
        #[doc = "Inode of the executable."]
        35 exe_inode: U64 = "process.file.inode" @unfit;
        #[doc = "Device of the executable, as stat(2) gives it."]
        36 exe_device: U64 = "process.file.device" @unfit;
        #[doc = "Where the executable lives: disk, memfd or deleted."]
        37 exe_kind: Text = "process.file.origin", sigma "ImageOrigin" @unfit;
        #[doc = "Script that an interpreter was started for, when the kernel resolved a shebang."]
        38 script: Text = "process.script.path" @unfit;
        #[doc = "Container id (12 to 64 hexadecimal digits) taken from the cgroup path."]
        39 container_id: Text = "process.container.uid", ecs "container.id";
        #[doc = "Control group (v2) path, relative to the hierarchy's root."]
        40 cgroup: Text = "process.cgroup" @unfit;
        #[doc = "Effective capabilities as a bit set (capabilities(7))."]
        41 capabilities: U64 = "process.capabilities" @unfit;
        #[doc = "Inode of the pid namespace."]
        42 pid_namespace: U64 = "process.namespace_pid" @unfit;
        #[doc = "Inode of the mount namespace."]
        43 mount_namespace: U64 = "process.namespace_mount" @unfit;
        #[doc = "Inode of the network namespace."]
        44 network_namespace: U64 = "process.namespace_network" @unfit;
        #[doc = "Exit status (0 to 255), set when it exited by itself."]
        45 exit_code: I64 = "process.exit_code", ecs "process.exit_code" @unfit;
        #[doc = "Signal that ended it."]
        46 exit_signal: U64 = "process.exit_signal" @unfit;
        #[doc = "Environment variables of interest (LD_*), NAME=VALUE joined by one space."]
        47 environment: Text = "process.environment_variables", ecs "process.env_vars", sigma "Environment" @unfit;
        #[doc = "Identity of the process at the root of its storyline."]
        48 storyline: Text = "process.storyline" @unfit;
        #[doc = "What standard input and output are: tty, pipe, socket, file, null or closed, as IN/OUT."]
        49 stdio: Text = "process.stdio", sigma "StandardStreams" @unfit;
        #[doc = "Identity of the parent process."]
        50 parent_uid: Text = "process.parent_process.uid", ecs "process.parent.entity_id", sigma "ParentProcessGuid";
        #[doc = "Parent's process id."]
        51 parent_pid: U64 = "process.parent_process.pid", ecs "process.parent.pid", sigma "ParentProcessId";
        #[doc = "Parent's executable."]
        52 parent_exe: Text = "process.parent_process.file.path", ecs "process.parent.executable", sigma "ParentImage";
        #[doc = "Parent's short name."]
        53 parent_name: Text = "process.parent_process.name", ecs "process.parent.name";
        #[doc = "Parent's command line."]
        54 parent_cmd_line: Text = "process.parent_process.cmd_line", ecs "process.parent.command_line", sigma "ParentCommandLine";
        #[doc = "Parent's user name."]
        55 parent_user_name: Text = "process.parent_process.user.name", ecs "process.parent.user.name", sigma "ParentUser";
    }
}

entity! {
    /// The file acted upon.
    File in File {
        #[doc = "Absolute path, as seen from the host's root; after a rename the new path."]
        70 path: Text = "file.path", ecs "file.path", sigma "TargetFilename" "FileName@file_event";
        #[doc = "Path before a rename."]
        71 old_path: Text = "file_diff.path", sigma "SourceFilename" @unfit;
        #[doc = "Inode."]
        72 inode: U64 = "file.inode", ecs "file.inode" @unfit;
        #[doc = "Device, as stat(2) gives it."]
        73 device: U64 = "file.device" @unfit;
        #[doc = "Size in bytes after the activity."]
        74 size: U64 = "file.size", ecs "file.size";
        #[doc = "SHA-256 of the content after the activity, lower-case hexadecimal."]
        75 sha256: Text = "file.hash.sha256", ecs "file.hash.sha256", sigma "sha256" "Hashes";
        #[doc = "Permission bits and type (st_mode)."]
        76 mode: U64 = "file.mode" @unfit;
        #[doc = "Owner's user id."]
        77 owner_id: U64 = "file.owner.uid", ecs "file.uid";
        #[doc = "Bytes written by this process to this file since it was opened."]
        78 bytes_written: U64 = "file.bytes_written" @unfit;
        #[doc = "Bytes read by this process from this file since it was opened."]
        79 bytes_read: U64 = "file.bytes_read" @unfit;
        #[doc = "What makes it sensitive: credential, key, token or account database."]
        80 sensitivity: Text = "file.sensitivity", sigma "Sensitivity" @unfit;
        #[doc = "Why the hash is missing, when it is: too_large, not_regular, gone, changed or budget."]
        81 hash_missing: Text = "file.hash_missing" @unfit;
        #[doc = "How many kernel operations this activity stands for."]
        82 operations: U64 = "file.operations" @unfit;
    }
}

entity! {
    /// The flow acted upon, seen from this host: source is where it was opened from.
    Network in Network {
        #[doc = "Address of the side that opened the flow, or of the listener."]
        100 src_ip: Ip = "src_endpoint.ip", ecs "source.ip", sigma "SourceIp" "src_ip";
        #[doc = "Port of the side that opened the flow, or of the listener."]
        101 src_port: U64 = "src_endpoint.port", ecs "source.port", sigma "SourcePort" "src_port";
        #[doc = "Address of the side it was opened to."]
        102 dst_ip: Ip = "dst_endpoint.ip", ecs "destination.ip", sigma "DestinationIp" "dst_ip";
        #[doc = "Port of the side it was opened to."]
        103 dst_port: U64 = "dst_endpoint.port", ecs "destination.port", sigma "DestinationPort" "dst_port";
        #[doc = "Name of the destination, from the DNS answer this host saw last."]
        104 dst_host: Text = "dst_endpoint.hostname", ecs "destination.domain", sigma "DestinationHostname";
        #[doc = "Transport: tcp or udp."]
        105 protocol: Text = "connection_info.protocol_name", ecs "network.transport", sigma "Protocol";
        #[doc = "True when this host opened the flow, false when it accepted or listens."]
        106 initiated: Bool = "connection_info.initiated", sigma "Initiated" @unfit;
        #[doc = "Bytes sent by the side that opened the flow."]
        107 bytes_out: U64 = "traffic.bytes_out", ecs "source.bytes";
        #[doc = "Bytes sent by the side it was opened to."]
        108 bytes_in: U64 = "traffic.bytes_in", ecs "destination.bytes";
        #[doc = "How many flows this activity stands for."]
        109 flows: U64 = "traffic.flows" @unfit;
        #[doc = "Error number of a refused or failed attempt; 0 or unset when none is known."]
        110 error: I64 = "connection_info.error" @unfit;
    }
}

entity! {
    /// A DNS question, with its answer where one was seen.
    Dns in Dns {
        #[doc = "Name asked for, lower case, without the final dot."]
        130 query: Text = "query.hostname", ecs "dns.question.name", sigma "QueryName" "query";
        #[doc = "Type asked for: A, AAAA, TXT, …"]
        131 record_type: Text = "query.type", ecs "dns.question.type", sigma "record_type" "QueryType";
        #[doc = "Response code: NOERROR, NXDOMAIN, …; unset while no answer was seen."]
        132 response_code: Text = "rcode", ecs "dns.response_code", sigma "QueryStatus";
        #[doc = "Answers, joined by one space."]
        133 answers: Text = "answers", sigma "QueryResults" "answer" @unfit;
        #[doc = "Address of the resolver."]
        134 server_ip: Ip = "dns_server.ip" @unfit;
        #[doc = "Port of the resolver."]
        135 server_port: U64 = "dns_server.port" @unfit;
    }
}

entity! {
    /// A kernel module loaded or unloaded.
    Module in Module {
        #[doc = "Module name."]
        150 name: Text = "driver.file.name", ecs "dll.name", sigma "ImageLoaded";
        #[doc = "Path it was loaded from, where known."]
        151 path: Text = "driver.file.path", ecs "dll.path";
        #[doc = "Taint flags the module set."]
        152 taints: U64 = "driver.taints" @unfit;
    }
}

entity! {
    /// The sensor speaking of itself: health, and what it lost or cannot see.
    Health in Health {
        #[doc = "Which part speaks: a probe, queue or store of the sensor."]
        160 part: Text = "sensor.part" @unfit;
        #[doc = "Why: queue_full, sensor_down, disk_full, probe_failed, started, stopped …"]
        161 reason: Text = "sensor.reason" @unfit;
        #[doc = "How many observations were lost; unset when it cannot be known."]
        162 lost: U64 = "sensor.lost" @unfit;
        #[doc = "Start of the interval that is meant."]
        163 from: Time = "sensor.from" @unfit;
        #[doc = "End of the interval that is meant."]
        164 to: Time = "sensor.to" @unfit;
        #[doc = "More for people."]
        165 detail: Text = "sensor.detail" @unfit;
        #[doc = "Tier in force: 1, 2 or 3."]
        166 tier: U64 = "sensor.tier" @unfit;
    }
}
