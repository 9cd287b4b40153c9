//! Those who act, and what they do to themselves and to one another: processes and memory.

use crate::field::{FieldSpec, Group};
use crate::time::Timestamp;
use crate::value::{FieldType, Held, Text, Value, ValueRef};

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
        #[doc = "Interpreter that runs the script, absolute path."]
        56 interpreter: Text = "process.script.interpreter" @unfit;
        #[doc = "seccomp mode: 0 none, 1 strict, 2 filter."]
        57 seccomp: U64 = "process.seccomp" @unfit;
        #[doc = "Inode of the user namespace."]
        58 user_namespace: U64 = "process.namespace_user" @unfit;
        #[doc = "Inode of the control group namespace."]
        59 cgroup_namespace: U64 = "process.namespace_cgroup" @unfit;
        #[doc = "Inode of the UTS (host name) namespace."]
        60 uts_namespace: U64 = "process.namespace_uts" @unfit;
        #[doc = "Inode of the IPC namespace."]
        61 ipc_namespace: U64 = "process.namespace_ipc" @unfit;
        #[doc = "Overlay layer of the executable: upper (changed since the image) or lower (the image's own)."]
        62 exe_layer: Text = "process.file.layer", sigma "ImageLayer" @unfit;
        #[doc = "CPU time used until its end, in milliseconds."]
        63 cpu_ms: U64 = "process.cpu_ms" @unfit;
        #[doc = "Most resident memory it ever had, in bytes; set at its end."]
        64 rss_peak: U64 = "process.rss_peak" @unfit;
        #[doc = "Why an actor is not known, when it is not: ended, out_of_scope, kernel."]
        65 missing: Text = "process.missing" @unfit;
        #[doc = "Effective group id."]
        66 effective_group_id: U64 = "process.egid" @unfit;
        #[doc = "True when the arguments were longer than the command line kept of them."]
        67 cmd_line_truncated: Bool = "process.cmd_line_truncated" @unfit;
    }
}

entity! {
    /// What a process changed about itself.
    Transition in Transition {
        #[doc = "System call: setuid, setresuid, setfsuid, setgroups, capset, prctl, setns, unshare, …"]
        190 call: Text = "transition.call", sigma "SystemCall@process_transition" @unfit;
        #[doc = "Real user id afterwards."]
        191 user_id: U64 = "transition.user_id" @unfit;
        #[doc = "Effective user id afterwards."]
        192 effective_user_id: U64 = "transition.euid" @unfit;
        #[doc = "Effective user id before."]
        193 old_effective_user_id: U64 = "transition.old_euid" @unfit;
        #[doc = "Effective group id afterwards."]
        194 effective_group_id: U64 = "transition.egid" @unfit;
        #[doc = "Effective capabilities before, as a bit set."]
        195 old_capabilities: U64 = "transition.old_capabilities" @unfit;
        #[doc = "Effective capabilities afterwards, as a bit set."]
        196 capabilities: U64 = "transition.capabilities" @unfit;
        #[doc = "Kinds of namespaces, joined by one space: user mount pid net uts ipc cgroup time."]
        197 namespace: Text = "transition.namespace", sigma "Namespace" @unfit;
        #[doc = "Short name before."]
        198 old_name: Text = "transition.old_name" @unfit;
        #[doc = "Short name afterwards."]
        199 name: Text = "transition.name" @unfit;
        #[doc = "User id by which files are reached afterwards, when it was set by itself (setfsuid)."]
        208 fs_user_id: U64 = "transition.fsuid" @unfit;
        #[doc = "Group id by which files are reached afterwards, when it was set by itself (setfsgid)."]
        209 fs_group_id: U64 = "transition.fsgid" @unfit;
        #[doc = "Groups beside its own afterwards, when they were set (setgroups): ids, joined by one space; sixteen at most, then how many more."]
        337 groups: Text = "transition.groups" @unfit;
    }
}

entity! {
    /// The process acted upon.
    Target in Target {
        #[doc = "Process identity BOOT-PID-TICKS of the target."]
        180 uid: Text = "target.process.uid", ecs "Target.process.entity_id", sigma "TargetProcessGuid" @unfit;
        #[doc = "Process id of the target."]
        181 pid: U64 = "target.process.pid", ecs "Target.process.pid", sigma "TargetProcessId" @unfit;
        #[doc = "Executable of the target."]
        182 exe: Text = "target.process.file.path", ecs "Target.process.executable", sigma "TargetImage" @unfit;
        #[doc = "Short name of the target."]
        183 name: Text = "target.process.name", ecs "Target.process.name" @unfit;
        #[doc = "User name of the target."]
        184 user_name: Text = "target.process.user.name", sigma "TargetUser" @unfit;
        #[doc = "How: ptrace_attach, ptrace_poke, process_vm_readv, process_vm_writev, proc_mem, pidfd_getfd, kill, …"]
        185 call: Text = "target.call", sigma "AccessCall" @unfit;
        #[doc = "Number of the signal sent."]
        186 signal: U64 = "target.signal", sigma "Signal" @unfit;
        #[doc = "Bytes read or written."]
        187 bytes: U64 = "target.bytes" @unfit;
        #[doc = "User id of the target."]
        188 user_id: U64 = "target.process.user.uid" @unfit;
        #[doc = "How many operations this activity stands for, when not one."]
        189 operations: U64 = "target.operations" @unfit;
    }
}

entity! {
    /// Memory that became executable, or a file made of memory.
    Memory in Memory {
        #[doc = "System call: mmap, mprotect, pkey_mprotect, memfd_create."]
        200 call: Text = "memory.call" @unfit;
        #[doc = "Address in the process."]
        201 address: U64 = "memory.address" @unfit;
        #[doc = "Length in bytes."]
        202 length: U64 = "memory.length" @unfit;
        #[doc = "Protection asked for, as in rwx."]
        203 protection: Text = "memory.protection", sigma "Protection" @unfit;
        #[doc = "What stands behind it: anonymous, file, written_file, memfd, stack or heap."]
        204 backing: Text = "memory.backing", sigma "Backing" @unfit;
        #[doc = "Path or name of what stands behind it."]
        205 path: Text = "memory.path", sigma "BackingFile" @unfit;
        #[doc = "Inode of what stands behind it."]
        206 inode: U64 = "memory.inode" @unfit;
        #[doc = "How many operations this activity stands for."]
        207 operations: U64 = "memory.operations" @unfit;
    }
}

entity! {
    /// A script, or lines given to a shell.
    Script in Script {
        #[doc = "Text, at most 16,384 bytes."]
        230 content: Text = "script.content", sigma "ScriptBlockText" "ScriptContent" @unfit;
        #[doc = "Interpreter that runs it."]
        231 interpreter: Text = "script.interpreter" @unfit;
        #[doc = "File it was read from."]
        232 path: Text = "script.path", sigma "ScriptPath" @unfit;
        #[doc = "Where it came from: file, interactive, argument or stdin."]
        233 source: Text = "script.source" @unfit;
        #[doc = "True when the text is only its beginning."]
        234 truncated: Bool = "script.truncated" @unfit;
        #[doc = "SHA-256 of the whole file."]
        235 sha256: Text = "script.hash.sha256", sigma "sha256@script" "Hashes@script" @unfit;
        #[doc = "Size of the whole in bytes."]
        236 size: U64 = "script.size" @unfit;
    }
}
