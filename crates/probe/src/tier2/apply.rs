//! What each record means.

use std::sync::Arc;

use metsuke_event::activity::{Activity, FileActivity, NetworkActivity};
use metsuke_event::{File, Process, ProcessKey, Text, Timestamp};

use super::acts::{tell_reached, tell_regions};
use super::executables::Content;
use super::flows::tell_end;
use super::names::Told;
use super::record::{Body, Exec, FileRecord, Fork, Head, device, flag, kind, path, resolve};
use super::sums::{Key, Opened, Subject, Sum, file_key};
use super::{State, changes, objects};
use crate::procfs;
use crate::world::{Ending, World};

const NANOS_PER_MS: u64 = 1_000_000;

/// Bytes of a page: x86-64's only base size.
const PAGE: u64 = 4_096;

/// Longest text taken from a record's small fields.
pub(super) fn text(bytes: &[u8]) -> Option<Text> {
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into())
}

impl State {
    pub(super) fn apply(&mut self, world: &mut World, head: &Head, body: Body<'_>) {
        let key = world.key(head.pid, head.start);
        let time = world.time(head.time);
        match body {
            Body::Fork(fork) => apply_fork(world, key, &fork, time),
            Body::Exec(exec) => {
                // What it runs was written before: tell that first.
                self.settle(world, &self.sums.of_file(Some(exec.inode), None));
                if head.has(flag::SCRIPT) {
                    let script = resolve(exec.cwd, exec.script);
                    self.settle(world, &self.sums.of_file(None, Some(&script)));
                }
                self.apply_exec(world, head, &exec, time);
            }
            Body::Exit(exit) => {
                self.settle(world, &self.sums.of_process(head.pid));
                self.streams.forget(head.pid);
                let used = Some((exit.cpu / NANOS_PER_MS, exit.peak.saturating_mul(PAGE)));
                world.exit(key, Ending { used, ..Ending::from_status(exit.status) }, time);
            }
            Body::Change(change) => changes::apply(world, head, &change, (key, time)),
            Body::Reach(reach) => self.apply_reach(world, head, &reach),
            Body::Region(region) => self.apply_region(world, head, &region),
            Body::Object(object) => {
                let process = world.find(key);
                objects::apply(world, head, &object, (process, time));
            }
            Body::Group(made) => {
                world.group_made(made.cgroup, &String::from_utf8_lossy(made.path));
            }
            Body::Moved => {
                world.find(key);
            }
            Body::File(file) if head.kind == kind::UNIX => self.apply_unix(world, head, &file),
            Body::File(file) if head.kind >= kind::HARD_LINK => {
                self.apply_attribute(world, head, &file);
            }
            Body::File(file) => self.apply_file(world, head, &file),
            Body::Flow(flow) => self.apply_socket(world, head, &flow),
            Body::Module(module) => {
                let process = world.find(key);
                objects::apply_module(world, head, &module, (process, time));
            }
        }
    }

    fn apply_file(&mut self, world: &mut World, head: &Head, record: &FileRecord<'_>) {
        let process = world.find(world.key(head.pid, head.start));
        let time = world.time(head.time);
        let mut file = File {
            inode: (record.inode != 0).then_some(record.inode),
            device: (record.inode != 0).then(|| device(record.kernel_device)),
            mode: (record.mode != 0).then_some(u64::from(record.mode)),
            operations: Some(1),
            ..File::default()
        };
        match head.kind {
            kind::CREATE => {
                file.path = Some(path(record.base).into());
                world.push(time, &process, Activity::File(FileActivity::Create, file));
            }
            kind::WRITE | kind::READ => self.open_sum(world, head, record, (process, file)),
            kind::CLOSE => {
                let key = file_key(record.inode, record.kernel_device, head.pid, kind::WRITE);
                self.settle(world, &[key]);
            }
            _ => self.apply_named(world, head.kind, record, (process, file, time)),
        }
    }

    fn open_sum(
        &mut self,
        world: &mut World,
        head: &Head,
        record: &FileRecord<'_>,
        (process, mut file): (Arc<Process>, File),
    ) {
        let name = path(record.base);
        if head.has(flag::MEMORY) {
            world.pins.hold(u64::from(head.pid), record.inode, head.time);
        }
        let subject = if head.kind == kind::READ {
            let Some(sensitivity) = world.patterns.of(&name) else {
                // The kernel looks at one name only; this path is not meant. Its sum stays until
                // the process ends, so that it is not sent again and again.
                file.path = Some(name.into());
                self.open(head, record, process, Subject::Read(file));
                return;
            };
            file.sensitivity = Some(sensitivity.into());
            file.path = Some(name.into());
            file.size = Some(record.length);
            let time = world.time(head.time);
            world.push(time, &process, Activity::File(read_as(&file), file.clone()));
            Subject::Read(file)
        } else {
            file.path = Some(name.into());
            if head.has(flag::SINGLE) {
                let sum = Sum {
                    last: head.time,
                    bytes: record.bytes,
                    operations: 1,
                    length: record.length,
                    longest: 0,
                };
                tell_write(world, &process, file, sum);
                return;
            }
            Subject::Write(file)
        };
        self.open(head, record, process, subject);
    }

    fn open(
        &mut self,
        head: &Head,
        record: &FileRecord<'_>,
        process: Arc<Process>,
        subject: Subject,
    ) {
        if head.has(flag::SINGLE) {
            return;
        }
        let key = file_key(record.inode, record.kernel_device, head.pid, head.kind);
        self.sums.open(key, process, (head.pid, head.time), subject);
    }

    fn apply_named(
        &mut self,
        world: &mut World,
        operation: u16,
        record: &FileRecord<'_>,
        (process, mut file, time): (Arc<Process>, File, Timestamp),
    ) {
        let name = resolve(record.base, record.path);
        self.settle(world, &self.sums.of_file(None, Some(&name)));
        let what = match operation {
            kind::DELETE => FileActivity::Delete,
            kind::RENAME => FileActivity::Rename,
            kind::LINK => FileActivity::Create,
            _ => FileActivity::Modify,
        };
        file.path = Some(name.as_str().into());
        if operation == kind::RENAME {
            file.old_path = Some(name.into());
            file.path = Some(resolve(record.base2, record.path2).into());
        }
        if operation != kind::DELETE {
            world.hash_file(&process, &mut file);
        }
        world.push(time, &process, Activity::File(what, file));
    }

    fn apply_exec(&mut self, world: &mut World, head: &Head, exec: &Exec<'_>, time: Timestamp) {
        let mut process = described(world, head, exec);
        process.environment = self.environments.of(head, exec);
        let content = Content::of(head, exec);
        process.sha256 = content.and_then(|content| self.executables.get(world, &content));
        let (key, parent) =
            (world.key(head.pid, head.start), world.key(exec.parent, exec.parent_start));
        let ran = world.exec(key, process, Some(parent), time);
        if let (Some(content), (process, Some(facts))) = (content, ran) {
            self.executables.learn(world, content, (&process, facts));
        }
    }

    /// Tells what has waited long enough.
    pub(super) fn tell_due(&mut self, world: &mut World, now: u64) {
        let due = self.sums.due(now);
        self.settle(world, &due);
        for told in self.names.overdue(now) {
            tell_dns(world, told);
        }
    }

    /// Tells everything.
    pub(super) fn tell_all(&mut self, world: &mut World) {
        let all = self.sums.all();
        self.settle(world, &all);
        for told in self.names.overdue(u64::MAX) {
            tell_dns(world, told);
        }
    }

    pub(super) fn settle(&mut self, world: &mut World, keys: &[Key]) {
        for key in keys {
            if let Some((opened, sum)) = self.sums.settle(*key) {
                tell_sum(world, opened, sum);
            }
        }
    }
}

fn tell_sum(world: &mut World, opened: Opened, sum: Sum) {
    let time = world.time(sum.last);
    match opened.subject {
        Subject::Write(file) => tell_write(world, &opened.process, file, sum),
        // The first one was told when it happened.
        Subject::Read(_) | Subject::Flow(..) if sum.operations <= 1 => {}
        Subject::Ends(_) if sum.operations == 0 || sum.longest == 0 => {}
        Subject::Ends(network) | Subject::Datagrams(network) => {
            tell_end(world, &opened.process, network, sum);
        }
        Subject::Read(file) if file.sensitivity.is_none() => {}
        Subject::Read(mut file) => {
            file.operations = Some(sum.operations - 1);
            world.push(time, &opened.process, Activity::File(read_as(&file), file));
        }
        Subject::Reach(what, target) => tell_reached(world, &opened.process, (what, target), sum),
        Subject::Memory(what, memory) => tell_regions(world, &opened.process, (what, memory), sum),
        Subject::Flow(what, mut network) => {
            network.flows = Some(sum.operations - 1);
            // Each of them had a port of its own.
            match what {
                NetworkActivity::Connect | NetworkActivity::Accept => network.src_port = None,
                _ => {}
            }
            world.push(time, &opened.process, Activity::Network(what, network));
        }
    }
}

/// Reading the kernel's memory by a file is no reading of a file.
fn read_as(file: &File) -> FileActivity {
    match file.sensitivity.as_deref() {
        Some("memory") => FileActivity::RawAccess,
        _ => FileActivity::Read,
    }
}

fn tell_write(world: &mut World, process: &Arc<Process>, mut file: File, sum: Sum) {
    file.bytes_written = Some(sum.bytes);
    file.operations = Some(sum.operations);
    file.size = Some(sum.length);
    world.hash_file(process, &mut file);
    let time = world.time(sum.last);
    world.push(time, process, Activity::File(FileActivity::Modify, file));
}

pub(super) fn tell_dns(world: &mut World, told: Told) {
    let time = world.time(told.time);
    world.push(time, &told.process, Activity::Dns(told.dns));
}

fn apply_fork(world: &mut World, child: ProcessKey, fork: &Fork, time: Timestamp) {
    let parent = world.key(fork.parent, fork.parent_start);
    world.fork(parent, child, (fork.cgroup, fork.session), time);
}

fn described(world: &mut World, head: &Head, exec: &Exec<'_>) -> Process {
    let cwd = path(exec.cwd);
    let mut process = Process {
        name: text(exec.name),
        exe: Some(path(exec.exe).into()),
        cmd_line: procfs::joined(exec.args),
        user_id: Some(u64::from(head.uid)),
        effective_user_id: Some(u64::from(exec.euid)),
        group_id: Some(u64::from(exec.gid)),
        tty: terminal(exec.tty),
        session: Some(u64::from(exec.session)),
        login_user_id: (exec.login_uid != u32::MAX).then_some(u64::from(exec.login_uid)),
        exe_inode: Some(exec.inode),
        exe_device: Some(device(exec.kernel_device)),
        capabilities: Some(exec.capabilities),
        seccomp: Some(u64::from(exec.seccomp)),
        cmd_line_truncated: head.has(flag::CUT).then_some(true),
        stdio: Some(format!("{}/{}", stream(exec.stdio[0]), stream(exec.stdio[1])).into()),
        parent_pid: Some(u64::from(exec.parent)),
        pid: Some(u64::from(head.pid)),
        ..Process::default()
    };
    let origin = match (head.has(flag::MEMORY), head.has(flag::GONE)) {
        (true, _) => procfs::MEMORY,
        (false, true) => "deleted",
        (false, false) => "disk",
    };
    process.exe_kind = Some(origin.into());
    for (field, inode) in changes::namespaces(&mut process).into_iter().zip(exec.namespaces) {
        *field = Some(u64::from(inode));
    }
    process.exe_layer = match (head.has(flag::UPPER), head.has(flag::LOWER)) {
        (true, _) => Some("upper".into()),
        (false, true) => Some("lower".into()),
        (false, false) => None,
    };
    if head.has(flag::SCRIPT) {
        process.interpreter.clone_from(&process.exe);
        process.script = Some(resolve(exec.cwd, exec.script).into());
    }
    if let Some(group) = world.cgroups.by_id(exec.cgroup) {
        process.cgroup = Some(group.path);
        process.container_id = group.container;
    }
    process.cwd = Some(cwd.into());
    process
}

/// `tty` of the record: major << 20 | minor; proc(5) encodes it otherwise.
fn terminal(tty: u32) -> Option<Text> {
    let (major, minor) = (tty >> 20, tty & 0xf_ffff);
    procfs::terminal(major << 8 | minor & 0xff | (minor & 0xf_ff00) << 12)
}

/// `enum stream` of `bpf/process.h`.
fn stream(code: u8) -> &'static str {
    match code {
        0 => "closed",
        1 => "tty",
        2 => "pipe",
        3 => "socket",
        5 => "null",
        _ => "file",
    }
}
