//! What processes do to one another and with memory. The first act of its like is told at once,
//! those that follow are summed up by the kernel and told together.

use std::sync::Arc;

use metsuke_event::activity::{Activity, MemoryActivity, ModuleActivity, TargetActivity};
use metsuke_event::{File, Memory, Module, Process, Target};

use super::State;
use super::labels;
use super::record::{Head, Reach, Region, device, flag, kind, path};
use super::sums::{Subject, Sum, act_key};
use crate::procfs;
use crate::target::Named;
use crate::world::World;

impl State {
    pub(super) fn apply_reach(&mut self, world: &mut World, head: &Head, reach: &Reach) {
        let process = world.find(world.key(head.pid, head.start));
        let named = match reach.target_start {
            0 if head.has(flag::VIRTUAL) => Named::Inside(reach.target, process.pid_namespace),
            0 => Named::Host(reach.target),
            start => Named::Exactly(reach.target, start),
        };
        let mut target = world.target(named);
        if reach.target_uid != u32::MAX {
            target.user_id = Some(u64::from(reach.target_uid));
        }
        let what = match head.kind {
            kind::ACCESS => TargetActivity::Access,
            kind::INJECT => TargetActivity::Inject,
            _ => TargetActivity::Signal,
        };
        if what == TargetActivity::Signal {
            target.call = Some(labels::call(u32::from(reach.call)));
            target.signal = Some(u64::from(reach.detail));
        } else {
            target.call = Some(labels::reach(reach.call, reach.detail));
            target.bytes = (reach.bytes != 0).then_some(reach.bytes);
        }
        let object = u64::from(reach.target) | u64::from(reach.detail) << 32;
        let key = (object, head.kind, reach.call);
        self.open_act(head, key, &process, Subject::Reach(what, target.clone()));
        world.push(world.time(head.time), &process, Activity::Target(what, target));
    }

    pub(super) fn apply_region(&mut self, world: &mut World, head: &Head, region: &Region<'_>) {
        let process = world.find(world.key(head.pid, head.start));
        if head.kind == kind::IMAGE {
            return tell_image(world, head, region, &process);
        }
        let what = match head.kind {
            kind::MAP => MemoryActivity::Map,
            kind::PROTECT => MemoryActivity::Protect,
            _ => MemoryActivity::CreateFile,
        };
        let call = u32::from(region.call);
        let mut memory = Memory {
            call: Some(labels::call(call)),
            backing: labels::backing(region.backing),
            path: (!region.path.is_empty()).then(|| path(region.path).into()),
            inode: (region.inode != 0).then_some(region.inode),
            operations: Some(1),
            ..Memory::default()
        };
        if what != MemoryActivity::CreateFile {
            memory.address = Some(region.address);
            memory.length = Some(region.length);
            memory.protection = Some(labels::protection(region.protection));
            let detail = region.call << 4 | region.backing;
            let key = (region.inode, head.kind, detail);
            self.open_act(head, key, &process, Subject::Memory(what, memory.clone()));
        }
        world.push(world.time(head.time), &process, Activity::Memory(what, memory));
    }

    /// Remembers that the kernel sums up what is like the act told by `head`.
    fn open_act(
        &mut self,
        head: &Head,
        (object, kind, detail): (u64, u16, u16),
        process: &Arc<Process>,
        subject: Subject,
    ) {
        if !head.has(flag::SINGLE) {
            let key = act_key(object, head.pid, kind, detail);
            self.sums.open(key, Arc::clone(process), (head.pid, head.time), subject);
        }
    }
}

fn tell_image(world: &mut World, head: &Head, region: &Region<'_>, process: &Arc<Process>) {
    let name = path(region.path);
    let mut file =
        File { path: Some(name.as_str().into()), inode: Some(region.inode), ..File::default() };
    world.hash_file(process, &mut file);
    let origin = match (head.has(flag::MEMORY), head.has(flag::GONE)) {
        (true, _) => procfs::MEMORY,
        (false, true) => "deleted",
        (false, false) => "disk",
    };
    let module = Module {
        name: name.rsplit('/').next().map(Into::into),
        path: Some(name.as_str().into()),
        sha256: file.sha256,
        inode: Some(region.inode),
        device: Some(device(region.device)),
        origin: Some(origin.into()),
        call: Some("mmap".into()),
        operations: Some(region.operations),
        ..Module::default()
    };
    let time = world.time(head.time);
    world.push(time, process, Activity::Module(ModuleActivity::Image, module));
}

/// Tells what followed the first act of its like; that one was told when it happened.
pub(super) fn tell_reached(
    world: &mut World,
    process: &Arc<Process>,
    (what, mut target): (TargetActivity, Target),
    sum: Sum,
) {
    if sum.operations > 1 {
        target.bytes = target.bytes.map(|first| sum.bytes.saturating_sub(first));
        target.operations = Some(sum.operations - 1);
        world.push(world.time(sum.last), process, Activity::Target(what, target));
    }
}

/// The same for memory: addresses and lengths of what followed are summed up.
pub(super) fn tell_regions(
    world: &mut World,
    process: &Arc<Process>,
    (what, mut memory): (MemoryActivity, Memory),
    sum: Sum,
) {
    if sum.operations > 1 {
        memory.length = memory.length.map(|first| sum.bytes.saturating_sub(first));
        memory.address = None;
        memory.operations = Some(sum.operations - 1);
        world.push(world.time(sum.last), process, Activity::Memory(what, memory));
    }
}
