//! Records of links, attributes, mounts and devices.

use std::fmt::Write;
use std::sync::Arc;

use metsuke_event::activity::{Activity, FileActivity};
use metsuke_event::{File, Process, Text, Timestamp};

use super::State;
use super::record::{FileRecord, Head, device, kind, path, resolve};
use crate::world::{World, describe_file};

/// Number of `pivot_root`, which tells it from mounts.
const PIVOT_ROOT: u32 = 155;

/// Times in records that are none: see `attributes.h`.
const TIME_NOW: u64 = u64::MAX;
const TIME_OMIT: u64 = u64::MAX - 1;

/// An owner that stays as it is.
const SAME_OWNER: u64 = u32::MAX as u64;

const FMODE_READ: u64 = 1;
const FMODE_WRITE: u64 = 2;

/// Flags of mount(2).
const MOUNT_FLAGS: &[(u64, &str)] = &[
    (1, "ro"),
    (2, "nosuid"),
    (4, "nodev"),
    (8, "noexec"),
    (16, "sync"),
    (32, "remount"),
    (4096, "bind"),
    (8192, "move"),
    (16_384, "rec"),
    (1 << 17, "unbindable"),
    (1 << 18, "private"),
    (1 << 19, "slave"),
    (1 << 20, "shared"),
];

/// Flags of files (`FS_IOC_SETFLAGS`) that keep others from changing or seeing them.
const FILE_FLAGS: &[(u64, &str)] = &[
    (0x10, "immutable"),
    (0x20, "append"),
    (0x40, "nodump"),
    (0x8, "sync"),
    (0x1, "secure_delete"),
    (0x2, "undelete"),
    (0x0080_0000, "nocow"),
    (0x4, "compress"),
];

impl State {
    /// What has names and attributes, but no content of its own.
    pub(super) fn apply_attribute(&mut self, world: &mut World, head: &Head, it: &FileRecord<'_>) {
        let process = world.find(world.key(head.pid, head.start));
        let time = world.time(head.time);
        match head.kind {
            kind::HARD_LINK | kind::SYMLINK => linked(world, head.kind, it, &process, time),
            kind::EXCHANGE => self.exchanged(world, it, &process, time),
            kind::MOUNT => {
                world.push(time, &process, Activity::File(FileActivity::Mount, mounted(it)));
            }
            kind::UNMOUNT => {
                world.push(time, &process, Activity::File(FileActivity::Unmount, mounted(it)));
            }
            kind::RAW_ACCESS => {
                let file = File { operations: Some(1), ..raw_access(it) };
                world.push(time, &process, Activity::File(FileActivity::RawAccess, file));
            }
            _ => {
                let mut file = File {
                    path: Some(name(it).into()),
                    inode: (it.inode != 0).then_some(it.inode),
                    device: (it.inode != 0).then(|| device(it.kernel_device)),
                    mode: (it.inode != 0).then_some(u64::from(it.mode)),
                    operations: Some(1),
                    ..File::default()
                };
                describe_file(&process, &mut file);
                changed(head.kind, it, &mut file);
                world.push(time, &process, Activity::File(FileActivity::Attributes, file));
            }
        }
    }

    /// Two files took each other's names: two renames.
    fn exchanged(
        &mut self,
        world: &mut World,
        it: &FileRecord<'_>,
        process: &Arc<Process>,
        time: Timestamp,
    ) {
        let (one, two) = (resolve(it.base, it.path), resolve(it.base2, it.path2));
        for name in [&one, &two] {
            self.settle(world, &self.sums.of_file(None, Some(name)));
        }
        for (from, to) in [(&one, &two), (&two, &one)] {
            let mut file = File {
                path: Some(to.as_str().into()),
                old_path: Some(from.as_str().into()),
                operations: Some(1),
                ..File::default()
            };
            world.hash_file(process, &mut file);
            world.push(time, process, Activity::File(FileActivity::Rename, file));
        }
    }
}

/// The file's whole path: by the kernel when it was given by a descriptor, else the caller's.
fn name(it: &FileRecord<'_>) -> String {
    if it.inode != 0 { path(it.base) } else { resolve(it.base, it.path) }
}

fn linked(
    world: &mut World,
    kind: u16,
    it: &FileRecord<'_>,
    process: &Arc<Process>,
    time: Timestamp,
) {
    let mut file = File {
        path: Some(resolve(it.base2, it.path2).into()),
        operations: Some(1),
        ..File::default()
    };
    if kind == kind::HARD_LINK {
        file.link_target = Some(resolve(it.base, it.path).into());
        world.hash_file(process, &mut file);
    } else {
        // As it was written: where it leads depends on who follows it.
        file.link_target = Some(String::from_utf8_lossy(it.path).into());
        describe_file(process, &mut file);
    }
    world.push(time, process, Activity::File(FileActivity::Link, file));
}

fn raw_access(it: &FileRecord<'_>) -> File {
    let block = it.mode & libc::S_IFMT == libc::S_IFBLK;
    let way = match (it.bytes & FMODE_READ != 0, it.bytes & FMODE_WRITE != 0) {
        (true, true) => "read write",
        (false, true) => "write",
        _ => "read",
    };
    File {
        path: Some(path(it.base).into()),
        inode: Some(it.inode),
        device: Some(device(it.kernel_device)),
        mode: Some(u64::from(it.mode)),
        sensitivity: Some(if block { "block device".into() } else { "memory".into() }),
        value: Some(way.into()),
        ..File::default()
    }
}

fn mounted(it: &FileRecord<'_>) -> File {
    let text = |bytes: &[u8]| -> Option<Text> {
        let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes).into())
    };
    let mut file = File { operations: Some(1), ..File::default() };
    file.path = Some(resolve(it.base, it.path).into());
    if it.mode == PIVOT_ROOT {
        // The second name is where the old root went.
        file.mount_source = Some(resolve(it.base2, it.path2).into());
        file.mount_flags = Some("pivot_root".into());
        return file;
    }
    file.filesystem = text(it.base2);
    file.mount_source = text(it.path2);
    // The magic number of old callers is no flag.
    let flags = if it.bytes & 0xffff_0000 == 0xc0ed_0000 { it.bytes & 0xffff } else { it.bytes };
    file.mount_flags = named(MOUNT_FLAGS, flags);
    file
}

fn changed(kind: u16, it: &FileRecord<'_>, file: &mut File) {
    let attribute = match kind {
        kind::MODE => {
            file.value = Some(format!("{:04o}", it.bytes & 0o7777).into());
            "mode"
        }
        kind::OWNER => {
            let given = |id: u64| (id & SAME_OWNER != SAME_OWNER).then_some(id & SAME_OWNER);
            file.owner_id = given(it.bytes).or(file.owner_id);
            file.group_id = given(it.length).or(file.group_id);
            let text = |id: u64| given(id).map_or_else(String::new, |id| id.to_string());
            file.value = Some(format!("{}:{}", text(it.bytes), text(it.length)).into());
            "owner"
        }
        kind::TIMES => {
            file.value = Some(times(it.bytes, it.length).into());
            "times"
        }
        kind::FLAGS => {
            file.value = Some(named(FILE_FLAGS, it.bytes).unwrap_or_else(|| "none".into()));
            "flags"
        }
        kind::XATTR => {
            file.xattr = Some(xattr(it));
            file.value = Some(printable(it.raw[1]));
            "xattr"
        }
        _ => {
            file.xattr = Some(xattr(it));
            "xattr_removed"
        }
    };
    file.attribute = Some(attribute.into());
}

fn xattr(it: &FileRecord<'_>) -> Text {
    let name = it.base2.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into()
}

/// Access and modification time as they were set: `atime=… mtime=…`.
fn times(access: u64, modification: u64) -> String {
    let mut text = String::new();
    for (name, nanos) in [("atime", access), ("mtime", modification)] {
        let value = match nanos {
            TIME_OMIT => continue,
            TIME_NOW => "now".to_owned(),
            nanos => Timestamp::from_nanos(nanos.cast_signed()).to_string(),
        };
        if !text.is_empty() {
            text.push(' ');
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}={value}");
    }
    text
}

/// Text as it is, other bytes in hexadecimal.
fn printable(bytes: &[u8]) -> Text {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.into(),
        _ => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            format!("0x{}", digits.collect::<Vec<_>>().concat()).into()
        }
    }
}

fn named(names: &[(u64, &str)], flags: u64) -> Option<Text> {
    let set: Vec<&str> =
        names.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, name)| *name).collect();
    (!set.is_empty()).then(|| set.join(" ").into())
}

#[cfg(test)]
mod tests {
    use super::{MOUNT_FLAGS, TIME_NOW, TIME_OMIT, named, printable, times};

    #[test]
    fn values_as_text() {
        assert_eq!(times(TIME_OMIT, 0), "mtime=1970-01-01T00:00:00Z");
        assert_eq!(times(TIME_NOW, TIME_NOW), "atime=now mtime=now");
        assert_eq!(&*printable(b"plain\0"), "plain");
        assert_eq!(&*printable(b"\x01\x02"), "0x0102");
        assert_eq!(named(MOUNT_FLAGS, 4096 | 1).as_deref(), Some("ro bind"));
        assert_eq!(named(MOUNT_FLAGS, 0), None);
    }
}
