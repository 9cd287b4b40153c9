//! What can happen: one name for each class of activity and its verb.
//!
//! Invariant: a name once used keeps its meaning; it stands in stored rows and in rules.

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
    /// A process changed its user or group ids, or its capabilities.
    ProcessSetUser = "process.set_user_id", ocsf 1007 5 "Set User ID";
    /// A process gave itself another short name (prctl `PR_SET_NAME`).
    ProcessRename = "process.rename", ocsf 1007 99 "Rename";
    /// A process entered or made a namespace (setns, unshare).
    ProcessNamespace = "process.namespace", ocsf 1007 99 "Enter Namespace";
    /// A process reached into another one to read or steer it (ptrace, `process_vm_readv`,
    /// `/proc/PID/mem` opened, `pidfd_getfd`).
    ProcessAccess = "process.access", ocsf 1007 3 "Open";
    /// A process changed another one's memory or registers.
    ProcessInject = "process.inject", ocsf 1007 4 "Inject";
    /// A process sent a signal to a process of another user, or a deadly one to a stranger.
    ProcessSignal = "process.signal", ocsf 1007 99 "Signal";
    /// Anonymous or written memory was mapped executable.
    MemoryMap = "memory.map", ocsf 1004 1 "Allocate Page";
    /// Memory was made executable after it had been writable.
    MemoryProtect = "memory.protect", ocsf 1004 2 "Modify Page";
    /// A file that lives in memory only was made (`memfd_create`).
    MemoryFile = "memory.create_file", ocsf 1004 99 "Create File";
    /// A library or other executable file was mapped into a process.
    ImageLoad = "image.load", ocsf 1005 1 "Load";
    /// A file was given another name (hard link), or a name that points to it (symbolic link).
    FileLink = "file.link", ocsf 1001 99 "Link";
    /// Permissions, owner, times or extended attributes of a file were changed.
    FileAttributes = "file.attributes", ocsf 1001 6 "Set Attributes";
    /// A file system was mounted.
    FileMount = "file.mount", ocsf 1001 12 "Mount";
    /// A file system was unmounted.
    FileUnmount = "file.unmount", ocsf 1001 13 "Unmount";
    /// A block device or the memory's device was opened past the file system.
    FileRawAccess = "file.raw_access", ocsf 1001 14 "Open";
    /// A socket was bound to an address.
    NetworkBind = "network.bind", ocsf 4001 99 "Bind";
    /// A flow ended; bytes and duration are known.
    NetworkClose = "network.close", ocsf 4001 2 "Close";
    /// A raw or packet socket was made.
    NetworkRaw = "network.raw_socket", ocsf 4001 99 "Raw Socket";
    /// A TLS client greeted a server.
    TlsHello = "tls.client_hello", ocsf 4001 6 "Traffic";
    /// A BPF program was loaded.
    BpfLoad = "bpf.load", ocsf 1003 1 "Create";
    /// A BPF program was attached, or an object (program, map, link) was pinned to a path.
    BpfAttach = "bpf.attach", ocsf 1003 4 "Invoke";
    /// A BPF program was detached.
    BpfDetach = "bpf.detach", ocsf 1003 3 "Delete";
    /// Another kernel was made ready to be started (kexec).
    KernelExec = "kernel.kexec", ocsf 1003 1 "Create";
    /// A kernel setting of interest was written (sysctl).
    KernelSetting = "kernel.setting", ocsf 1003 99 "Set";
    /// An `io_uring` was made: its operations pass by system calls.
    KernelRing = "kernel.io_uring", ocsf 1003 1 "Create";
    /// A script, or a line given to a shell, was run.
    ScriptExecute = "script.execute", ocsf 1009 1 "Execute";
    /// A user logged on.
    UserLogon = "user.logon", ocsf 3002 1 "Logon";
    /// A user logged off.
    UserLogoff = "user.logoff", ocsf 3002 2 "Logoff";
    /// A logon failed.
    UserLogonFailed = "user.logon_failed", ocsf 3002 1 "Logon";
    /// An account or group came to be.
    AccountCreate = "account.create", ocsf 3001 1 "Create";
    /// An account or group was changed.
    AccountModify = "account.modify", ocsf 3001 99 "Modify";
    /// An account or group was removed.
    AccountDelete = "account.delete", ocsf 3001 6 "Delete";
    /// A scheduled job (cron, at, systemd timer) came to be.
    JobCreate = "scheduled_job.create", ocsf 1006 1 "Create";
    /// A scheduled job was changed.
    JobModify = "scheduled_job.modify", ocsf 1006 2 "Update";
    /// A scheduled job was removed.
    JobDelete = "scheduled_job.delete", ocsf 1006 3 "Delete";
    /// Something that starts by itself came to be.
    PersistenceCreate = "persistence.create", ocsf 1001 1 "Create";
    /// Something that starts by itself was changed.
    PersistenceModify = "persistence.modify", ocsf 1001 3 "Update";
    /// Something that starts by itself was removed.
    PersistenceDelete = "persistence.delete", ocsf 1001 4 "Delete";
    /// A service was made known to the service manager.
    ServiceCreate = "service.create", ocsf 0 99 "Service Create";
    /// A service's definition was changed.
    ServiceModify = "service.modify", ocsf 0 99 "Service Modify";
    /// A service was removed.
    ServiceDelete = "service.delete", ocsf 0 99 "Service Delete";
    /// A service was started.
    ServiceStart = "service.start", ocsf 0 99 "Service Start";
    /// A service was stopped.
    ServiceStop = "service.stop", ocsf 0 99 "Service Stop";
    /// An operation was denied, or would have been, by a deny list of this product.
    Denial = "prevention.deny", ocsf 0 99 "Deny";
    /// Two views of the host differ: somebody is told less than the kernel knows.
    Discrepancy = "crossview.discrepancy", ocsf 0 99 "Discrepancy";
    /// The sensor began to watch.
    SensorStart = "sensor.start", ocsf 0 99 "Sensor Start";
    /// The sensor ended, and says so.
    SensorStop = "sensor.stop", ocsf 0 99 "Sensor Stop";
    /// Something of the sensor's own was touched.
    SensorTamper = "sensor.tamper", ocsf 0 99 "Sensor Tamper";
    /// Something out of another product's log whose meaning is not known here.
    Imported = "imported.event", ocsf 0 99 "Imported";
}
