//! What is done to the kernel: BPF programs, other kernels, rings, settings, modules.

use std::sync::Arc;

use metsuke_event::activity::{Activity, FileActivity, KernelActivity, ModuleActivity};
use metsuke_event::{File, Kernel, Module, Process, Text, Timestamp};

use super::apply::text;
use super::labels;
use super::record::{Head, ModuleRecord, Object, kind, path};
use crate::settings;
use crate::world::World;

/// bpf(2)'s commands and calls that do not attach.
const PROG_LOAD: u32 = 5;
const OBJ_PIN: u32 = 6;
const PROG_DETACH: u32 = 9;
const LINK_DETACH: u32 = 34;
const BPF: u32 = 321;
const SETSOCKOPT: u32 = 54;

pub(super) fn apply(
    world: &mut World,
    head: &Head,
    object: &Object<'_>,
    (process, time): (Arc<Process>, Timestamp),
) {
    let at = (!object.path.is_empty()).then(|| Text::from(path(object.path)));
    let mut kernel = Kernel {
        call: Some(labels::call(object.call)),
        size: (object.size != 0).then_some(object.size),
        error: (object.error != 0).then_some(i64::from(object.error)),
        ..Kernel::default()
    };
    let what = match head.kind {
        kind::KEXEC => {
            kernel.path = at;
            kernel.value = text(object.text);
            KernelActivity::Exec
        }
        kind::RING => KernelActivity::Ring,
        kind::SETTING => return set(world, (&process, time), &at.unwrap_or_default(), object),
        _ => {
            kernel.call = Some(labels::bpf(object.call, object.command));
            kernel.name = text(object.name);
            kernel.kind = labels::program(object.program_type);
            kernel.id = (object.id != 0).then_some(u64::from(object.id));
            kernel.attach_type = labels::attachment(object.attach_type);
            kernel.target = at.or_else(|| text(object.text)).or_else(|| target(object));
            if (object.call, object.command) == (BPF, OBJ_PIN) {
                kernel.path = text(object.text);
                kernel.target = pinned(object.word);
            }
            match (object.call, object.command) {
                (BPF, PROG_LOAD) => KernelActivity::BpfLoad,
                (BPF, PROG_DETACH | LINK_DETACH) => KernelActivity::BpfDetach,
                _ => KernelActivity::BpfAttach,
            }
        }
    };
    world.push(time, &process, Activity::Kernel(what, kernel));
}

/// What was pinned: a letter of what the kernel calls its descriptor (`bpf/objects.h`).
fn pinned(letter: u32) -> Option<Text> {
    match u8::try_from(letter).ok()? {
        b'p' => Some("program".into()),
        b'm' => Some("map".into()),
        b'l' => Some("link".into()),
        _ => None,
    }
}

/// What a program was attached to, where neither a folder nor a name tells.
fn target(object: &Object<'_>) -> Option<Text> {
    const INTERFACES: [&str; 5] =
        ["xdp", "tcx_ingress", "tcx_egress", "netkit_primary", "netkit_peer"];
    if object.call == SETSOCKOPT {
        return Some("socket".into());
    }
    let way = labels::attachment(object.attach_type)?;
    INTERFACES.contains(&&*way).then(|| format!("interface {}", object.word).into())
}

/// A setting was written: told as such when it is of interest, else as the file that it is.
fn set(
    world: &mut World,
    (process, time): (&Arc<Process>, Timestamp),
    path: &str,
    object: &Object<'_>,
) {
    let value = String::from_utf8_lossy(object.text).trim_end().to_owned();
    let Some(name) = settings::name(path) else { return };
    if !world.settings.concerns(&name) {
        let file = File { path: Some(path.into()), operations: Some(1), ..File::default() };
        return world.push(time, process, Activity::File(FileActivity::Modify, file));
    }
    let old = world.settings.replace(&name, process.network_namespace, &value);
    let kernel = Kernel {
        call: Some(labels::call(object.call)),
        name: Some(name.into()),
        old_value: old.map(Into::into),
        value: (!value.is_empty()).then(|| value.into()),
        path: Some(path.into()),
        ..Kernel::default()
    };
    world.push(time, process, Activity::Kernel(KernelActivity::Setting, kernel));
}

pub(super) fn apply_module(
    world: &mut World,
    head: &Head,
    record: &ModuleRecord<'_>,
    (process, time): (Arc<Process>, Timestamp),
) {
    let what = match head.kind {
        kind::MODULE_LOAD => ModuleActivity::Load,
        _ => ModuleActivity::Unload,
    };
    let mut module = Module {
        name: text(record.name),
        taints: Some(record.taints),
        call: Some(labels::call(record.call)),
        ..Module::default()
    };
    if !record.path.is_empty() {
        let mut file = File { path: Some(path(record.path).into()), ..File::default() };
        world.hash_file(&process, &mut file);
        (module.path, module.sha256) = (file.path, file.sha256);
        (module.inode, module.device) = (file.inode, file.device);
    }
    world.push(time, &process, Activity::Module(what, module));
}
