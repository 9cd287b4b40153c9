//! Records of what processes do to themselves, to one another, with memory and to the kernel.
//!
//! Invariant: as all of `record`: any bytes give a record or `None`, never a panic.

use super::{Input, text};

/// `struct record_change`: how a process is after it changed something about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change<'a> {
    pub(crate) capabilities: u64,
    pub(crate) call: u32,
    /// Kinds of namespaces asked for, as `CLONE_NEW…`; of setfsuid and setfsgid that id, of setgroups
    /// the number of groups.
    pub(crate) asked: u32,
    pub(crate) euid: u32,
    pub(crate) gid: u32,
    pub(crate) egid: u32,
    /// In the order of `KINDS` in `changes.rs`.
    pub(crate) namespaces: [u32; 7],
    pub(crate) name: &'a [u8],
    pub(crate) old_name: &'a [u8],
    /// Of setgroups: the first of them.
    pub(crate) groups: Option<[u32; MAX_GROUPS]>,
}

/// Groups in a record (`MAX_GROUPS` of `records.h`).
pub(crate) const MAX_GROUPS: usize = 16;

impl<'a> Change<'a> {
    pub(super) fn read(input: &mut Input<'a>) -> Option<Self> {
        Some(Self {
            capabilities: input.u64()?,
            call: input.u32()?,
            asked: input.u32()?,
            euid: input.u32()?,
            gid: input.u32()?,
            egid: input.u32()?,
            namespaces: input.u32s()?,
            name: text(input.bytes(16)?),
            old_name: text(input.bytes(16)?),
            // The record ends here, but for those of setgroups.
            groups: input.u32s(),
        })
    }
}

/// `struct record_reach`: what a process did to another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// 0 where it could not be had.
    pub(crate) target_start: u64,
    pub(crate) bytes: u64,
    pub(crate) target: u32,
    /// All ones where it could not be had.
    pub(crate) target_uid: u32,
    /// A system call; 0 for the memory file of procfs.
    pub(crate) call: u16,
    /// ptrace: its request; signals: their number.
    pub(crate) detail: u16,
}

impl Reach {
    pub(super) fn read(input: &mut Input<'_>) -> Option<Self> {
        Some(Self {
            target_start: input.u64()?,
            bytes: input.u64()?,
            target: input.u32()?,
            target_uid: input.u32()?,
            call: input.u16()?,
            detail: input.u16()?,
        })
    }
}

/// `struct record_memory`: a region made executable, a file of memory, an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region<'a> {
    pub(crate) address: u64,
    pub(crate) length: u64,
    pub(crate) inode: u64,
    pub(crate) operations: u64,
    /// As the kernel writes it.
    pub(crate) device: u32,
    pub(crate) call: u16,
    pub(crate) protection: u16,
    pub(crate) backing: u16,
    pub(crate) path: &'a [u8],
}

impl<'a> Region<'a> {
    pub(super) fn read(input: &mut Input<'a>) -> Option<Self> {
        let mut region = Self {
            address: input.u64()?,
            length: input.u64()?,
            inode: input.u64()?,
            operations: input.u64()?,
            device: input.u32()?,
            call: input.u16()?,
            protection: input.u16()?,
            backing: input.u16()?,
            path: &[],
        };
        let path = usize::from(input.u16()?);
        input.bytes(4)?;
        region.path = input.bytes(path)?;
        Some(region)
    }
}

/// `struct record_kernel`: something done to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object<'a> {
    pub(crate) size: u64,
    pub(crate) call: u32,
    pub(crate) command: u32,
    pub(crate) id: u32,
    /// Of the program; all ones for none.
    pub(crate) program_type: u32,
    /// All ones for none.
    pub(crate) attach_type: u32,
    pub(crate) word: u32,
    pub(crate) error: i32,
    pub(crate) name: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) text: &'a [u8],
}

impl<'a> Object<'a> {
    pub(super) fn read(input: &mut Input<'a>) -> Option<Self> {
        let mut object = Self {
            size: input.u64()?,
            call: input.u32()?,
            command: input.u32()?,
            id: input.u32()?,
            program_type: input.u32()?,
            attach_type: input.u32()?,
            word: input.u32()?,
            error: input.u32()?.cast_signed(),
            name: &[],
            path: &[],
            text: &[],
        };
        let lengths = [usize::from(input.u16()?), usize::from(input.u16()?)];
        object.name = text(input.bytes(16)?);
        object.path = input.bytes(lengths[0])?;
        object.text = text(input.bytes(lengths[1])?);
        Some(object)
    }
}

/// `struct record_module`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModuleRecord<'a> {
    pub(crate) taints: u64,
    pub(crate) call: u32,
    pub(crate) name: &'a [u8],
    pub(crate) path: &'a [u8],
}

impl<'a> ModuleRecord<'a> {
    pub(super) fn read(input: &mut Input<'a>) -> Option<Self> {
        let (taints, call) = (input.u64()?, input.u32()?);
        let path = usize::from(input.u16()?);
        input.bytes(2)?;
        let name = text(input.bytes(56)?);
        Some(Self { taints, call, name, path: input.bytes(path)? })
    }
}
