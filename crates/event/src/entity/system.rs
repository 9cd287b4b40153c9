//! The system around processes: kernel, logons, accounts, what starts by itself, and findings of
//! the sensor itself.

use std::net::IpAddr;

use crate::field::{FieldSpec, Group};
use crate::value::{FieldType, Held, Text, Value, ValueRef};

entity! {
    /// Something done to the kernel: BPF, kexec, settings, io_uring.
    Kernel in Kernel {
        #[doc = "System call or command, for example bpf_prog_load, kexec_file_load, io_uring_setup."]
        210 call: Text = "kernel.call", sigma "SystemCall" @unfit;
        #[doc = "Name: of the program, or of the setting."]
        211 name: Text = "kernel.name", sigma "KernelObject" @unfit;
        #[doc = "Type of the program: kprobe, tracepoint, lsm, xdp, …"]
        212 kind: Text = "kernel.type", sigma "ProgramType" @unfit;
        #[doc = "Number the kernel gave it."]
        213 id: U64 = "kernel.id" @unfit;
        #[doc = "What it was attached to; of a pin what got a name: program, map or link."]
        214 target: Text = "kernel.target", sigma "AttachTarget" @unfit;
        #[doc = "Value set."]
        215 value: Text = "kernel.value", sigma "Details@kernel_setting" @unfit;
        #[doc = "Value before."]
        216 old_value: Text = "kernel.old_value" @unfit;
        #[doc = "Size: instructions of a program, entries of a ring."]
        217 size: U64 = "kernel.size" @unfit;
        #[doc = "Path: of the image to be started, or where an object was pinned."]
        218 path: Text = "kernel.path" @unfit;
        #[doc = "How it is attached, for example cgroup_inet4_connect."]
        219 attach_type: Text = "kernel.attach_type" @unfit;
        #[doc = "Error number of an attempt that failed."]
        220 error: I64 = "kernel.error" @unfit;
    }
}

entity! {
    /// A logon, logoff or failed logon.
    Logon in Logon {
        #[doc = "User that logged on, or tried to."]
        240 user: Text = "logon.user.name", sigma "TargetUserName" @unfit;
        #[doc = "User id, where there is such a user."]
        241 user_id: U64 = "logon.user.uid" @unfit;
        #[doc = "Program or PAM service: sshd, login, sudo, su, …"]
        242 service: Text = "logon.service", sigma "LogonService" @unfit;
        #[doc = "Address it came from."]
        243 source_ip: Ip = "logon.src_ip", sigma "IpAddress" @unfit;
        #[doc = "Port it came from."]
        244 source_port: U64 = "logon.src_port" @unfit;
        #[doc = "Terminal."]
        245 tty: Text = "logon.tty" @unfit;
        #[doc = "Method: password, publickey, …"]
        246 method: Text = "logon.method" @unfit;
        #[doc = "Why it failed."]
        247 reason: Text = "logon.reason", sigma "FailureReason" @unfit;
        #[doc = "Session number of the audit subsystem."]
        248 session: U64 = "logon.session" @unfit;
        #[doc = "User that asked for it (sudo, su)."]
        249 actor: Text = "logon.actor.name", sigma "SubjectUserName" @unfit;
        #[doc = "Where it was learnt: pam, audit, utmp, journal or log."]
        250 source: Text = "logon.source" @unfit;
        #[doc = "Name of the host it came from, where it is no address."]
        251 source_host: Text = "logon.src_host" @unfit;
    }
}

entity! {
    /// An account or group that came, changed or went.
    Account in Account {
        #[doc = "Name."]
        260 name: Text = "account.name", sigma "AccountName" @unfit;
        #[doc = "User or group id."]
        261 id: U64 = "account.uid" @unfit;
        #[doc = "user or group."]
        262 kind: Text = "account.type", sigma "AccountType" @unfit;
        #[doc = "What changed, one line each: `field: before → after`. Password hashes are never shown."]
        263 diff: Text = "account.diff", sigma "AccountDiff" @unfit;
        #[doc = "Home folder."]
        264 home: Text = "account.home" @unfit;
        #[doc = "Login shell."]
        265 shell: Text = "account.shell", sigma "AccountShell" @unfit;
        #[doc = "Members of a group afterwards, joined by one space."]
        266 members: Text = "account.members" @unfit;
        #[doc = "Primary group's id."]
        267 group_id: U64 = "account.gid" @unfit;
        #[doc = "File the change was read from."]
        268 path: Text = "account.path" @unfit;
    }
}

entity! {
    /// Something that starts by itself, and the file that says so.
    Persistence in Persistence {
        #[doc = "How it starts: cron, at, systemd_timer, profile, ld_preload, pam, udev, sudoers, authorized_keys, …"]
        270 mechanism: Text = "persistence.mechanism", sigma "Mechanism" @unfit;
        #[doc = "File."]
        271 path: Text = "persistence.path", sigma "PersistencePath" @unfit;
        #[doc = "Lines that came (+) and went (-), at most 8,192 bytes."]
        272 diff: Text = "persistence.diff", sigma "PersistenceDiff" @unfit;
        #[doc = "Command that is started, where it can be told."]
        273 command: Text = "persistence.command", sigma "PersistenceCommand" @unfit;
        #[doc = "When it is started, as written."]
        274 schedule: Text = "persistence.schedule" @unfit;
        #[doc = "User it is started as, where it can be told."]
        275 user: Text = "persistence.user" @unfit;
        #[doc = "SHA-256 of the file before."]
        276 old_sha256: Text = "persistence.old_sha256" @unfit;
        #[doc = "SHA-256 of the file afterwards."]
        277 sha256: Text = "persistence.sha256" @unfit;
        #[doc = "What may be wrong with the diff: too_large, binary, not_known_before."]
        278 diff_missing: Text = "persistence.diff_missing" @unfit;
    }
}

entity! {
    /// A service of the service manager.
    Service in Service {
        #[doc = "Name of the unit or init script."]
        290 name: Text = "service.name", sigma "ServiceName" @unfit;
        #[doc = "File that defines it."]
        291 path: Text = "service.path" @unfit;
        #[doc = "Command it starts."]
        292 command: Text = "service.cmd_line", sigma "ServiceFileName" @unfit;
        #[doc = "User it runs as."]
        293 user: Text = "service.user" @unfit;
        #[doc = "Lines that came (+) and went (-), at most 8,192 bytes."]
        294 diff: Text = "service.diff" @unfit;
        #[doc = "State afterwards: active, failed, inactive, …"]
        295 state: Text = "service.state" @unfit;
        #[doc = "Main process id."]
        296 pid: U64 = "service.pid" @unfit;
        #[doc = "Who manages it: systemd or sysv."]
        297 manager: Text = "service.manager" @unfit;
    }
}

entity! {
    /// An operation that was denied, or would have been.
    Denial in Denial {
        #[doc = "What was to be done: exec, open, connect, module_load, ptrace, bpf_load, map."]
        320 operation: Text = "denial.operation", sigma "DeniedOperation" @unfit;
        #[doc = "What became of it: denied, would_deny or killed."]
        321 disposition: Text = "denial.disposition", sigma "Disposition" @unfit;
        #[doc = "Kind of the entry that met it: everything, sha256, inode, path, destination, memfd, anonymous, unknown_copy, module."]
        322 subject_type: Text = "denial.subject_type" @unfit;
        #[doc = "The entry that met it."]
        323 subject: Text = "denial.subject", sigma "DeniedSubject" @unfit;
        #[doc = "Hook that did it, for example lsm/bprm_check_security or fanotify/open_exec_perm."]
        324 hook: Text = "denial.hook" @unfit;
        #[doc = "File, destination or process that it was about."]
        325 object: Text = "denial.object", sigma "DeniedObject" @unfit;
        #[doc = "SHA-256 of the file it was about."]
        326 sha256: Text = "denial.sha256", sigma "sha256@prevention" @unfit;
        #[doc = "How many operations this activity stands for."]
        327 operations: U64 = "denial.operations" @unfit;
    }
}

entity! {
    /// A difference between what the kernel knows and what user mode is told.
    Discrepancy in Discrepancy {
        #[doc = "What differs: process, module, socket, file, mount or bpf."]
        330 subject_type: Text = "discrepancy.type", sigma "DiscrepancyType" @unfit;
        #[doc = "Which one: pid and name, address, path, program id."]
        331 subject: Text = "discrepancy.subject", sigma "DiscrepancySubject" @unfit;
        #[doc = "View that knows it, for example bpf_iter_task."]
        332 seen_by: Text = "discrepancy.seen_by" @unfit;
        #[doc = "View that does not, for example readdir_proc."]
        333 missing_from: Text = "discrepancy.missing_from" @unfit;
        #[doc = "What is thought to hide it: tmpfs_over_proc, bind_over_proc, preload, deleted_executable, foreign_namespace, no_owner, …"]
        334 technique: Text = "discrepancy.technique", sigma "DiscrepancyTechnique" @unfit;
        #[doc = "More for people."]
        335 detail: Text = "discrepancy.detail" @unfit;
        #[doc = "Passes in which it was there; one alone may be a race and is not told."]
        336 passes: U64 = "discrepancy.passes" @unfit;
    }
}

entity! {
    /// A record of another product's log whose meaning is not known here.
    Imported in Imported {
        #[doc = "Log it stood in, as its source calls it: a channel of Windows, auditd, cloudtrail, kubernetes, registry."]
        340 log: Text = "imported.log" @unfit;
        #[doc = "What its source calls such records: an event id of Windows, a type of audit record, the name of a call."]
        341 kind: Text = "imported.type" @unfit;
    }
}
