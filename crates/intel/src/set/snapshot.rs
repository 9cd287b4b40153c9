//! A set as one file: `docs/spec/intel.md`.

use bytes::Bytes;

use super::base::{Base, NARROW, WIDE, slot};
use super::contexts::Contexts;
use super::nets::{Nets, V4, V6};
use super::table::Table;
use crate::indicator::{Context, Kind};

const MAGIC: &[u8; 8] = b"MTKINTL1";
const VERSION: u32 = 1;
/// Bytes before the list of sections, and of one entry of it.
const HEAD: usize = 24;
const ENTRY: usize = 32;
/// Sections begin at multiples of this: a line of the cache.
const ALIGN: usize = 64;
/// Most sections: there are 16 kinds of them.
const MAX_SECTIONS: u32 = 64;

const CONTEXTS: u32 = 0;
const NET4: u32 = 20;
const NET6: u32 = 21;

/// Why a snapshot is refused.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It begins with something else.
    #[error("is no snapshot of indicators; build it anew from the catalog")]
    Foreign,
    /// A newer program wrote it.
    #[error("is a snapshot of version {0}, this program reads {VERSION}; build it anew")]
    Version(u32),
    /// It ends too early, or was changed.
    #[error("is damaged ({0}); build it anew from the catalog")]
    Damaged(&'static str),
}

struct Section {
    table: u32,
    row: usize,
    bytes: Bytes,
}

fn sections(base: &Base, contexts: &Contexts) -> Vec<Section> {
    let list = serde_json::to_vec(contexts.list()).unwrap_or_default();
    let mut sections = vec![Section { table: CONTEXTS, row: 1, bytes: list.into() }];
    for (kind, table) in WIDE.into_iter().zip(&base.wide) {
        sections.push(section(kind as u32, Table::<16>::ROW, table.rows()));
    }
    for (kind, table) in NARROW.into_iter().zip(&base.narrow) {
        sections.push(section(kind as u32, Table::<8>::ROW, table.rows()));
    }
    sections.push(section(Kind::Ipv4 as u32, Table::<4>::ROW, base.v4.rows()));
    sections.push(section(NET4, Nets::<V4>::ROW, base.net4.rows()));
    sections.push(section(NET6, Nets::<V6>::ROW, base.net6.rows()));
    sections.retain(|section| section.table == CONTEXTS || !section.bytes.is_empty());
    sections
}

fn section(table: u32, row: usize, bytes: &Bytes) -> Section {
    Section { table, row, bytes: bytes.clone() }
}

pub(crate) fn write(base: &Base, contexts: &Contexts, write: &mut dyn FnMut(&[u8])) {
    let sections = sections(base, contexts);
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes();
    let mut head = Vec::with_capacity(HEAD + sections.len() * ENTRY + 8);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&number(sections.len()));
    head.extend_from_slice(&base.seed.to_le_bytes());
    let mut at = (HEAD + sections.len() * ENTRY + 8).next_multiple_of(ALIGN);
    for section in &sections {
        head.extend_from_slice(&section.table.to_le_bytes());
        head.extend_from_slice(&number(section.row));
        head.extend_from_slice(&((section.bytes.len() / section.row) as u64).to_le_bytes());
        head.extend_from_slice(&(at as u64).to_le_bytes());
        head.extend_from_slice(&crc32fast::hash(&section.bytes).to_le_bytes());
        head.extend_from_slice(&[0; 4]);
        at = (at + section.bytes.len()).next_multiple_of(ALIGN);
    }
    let checksum = crc32fast::hash(&head);
    head.extend_from_slice(&checksum.to_le_bytes());
    head.extend_from_slice(&[0; 4]);
    write(&head);
    let mut written = head.len();
    for section in &sections {
        write(&[0; ALIGN][..written.next_multiple_of(ALIGN) - written]);
        write(&section.bytes);
        written = written.next_multiple_of(ALIGN) + section.bytes.len();
    }
}

const SHORT: SnapshotError = SnapshotError::Damaged("it ends too early");

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, SnapshotError> {
    let part = bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).ok_or(SHORT)?;
    Ok(u32::from_le_bytes(part))
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, SnapshotError> {
    Ok(u64::from(u32_at(bytes, at)?) | u64::from(u32_at(bytes, at + 4)?) << 32)
}

pub(crate) fn read(bytes: &Bytes) -> Result<(Base, Contexts), SnapshotError> {
    if !bytes.starts_with(MAGIC) {
        return Err(SnapshotError::Foreign);
    }
    let version = u32_at(bytes, 8)?;
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let count = u32_at(bytes, 12)?;
    if count > MAX_SECTIONS {
        return Err(SnapshotError::Damaged("too many sections"));
    }
    let end = HEAD + count as usize * ENTRY;
    let head = bytes.get(..end).ok_or(SHORT)?;
    if crc32fast::hash(head) != u32_at(bytes, end)? {
        return Err(SnapshotError::Damaged("the checksum of its head"));
    }
    let mut base = Base { seed: u64_at(bytes, 16)?, ..Base::default() };
    let mut contexts = None;
    for number in 0..count as usize {
        let at = HEAD + number * ENTRY;
        let (table, row) = (u32_at(bytes, at)?, u64::from(u32_at(bytes, at + 4)?));
        let length = u64_at(bytes, at + 8)?.checked_mul(row).ok_or(SHORT)?;
        let start = u64_at(bytes, at + 16)?;
        let range = usize::try_from(start)
            .ok()
            .zip(start.checked_add(length).and_then(|end| usize::try_from(end).ok()));
        let (start, end) = range.filter(|(_, end)| *end <= bytes.len()).ok_or(SHORT)?;
        let part = bytes.slice(start..end);
        if crc32fast::hash(&part) != u32_at(bytes, at + 24)? {
            return Err(SnapshotError::Damaged("the checksum of a table"));
        }
        if table == CONTEXTS {
            let list: Vec<Context> = serde_json::from_slice(&part)
                .map_err(|_| SnapshotError::Damaged("its list of contexts"))?;
            contexts = Some(Contexts::of(list));
        } else {
            put(&mut base, table, row, part)?;
        }
    }
    let contexts = contexts.ok_or(SnapshotError::Damaged("no list of contexts"))?;
    check_contexts(&base, contexts.len())?;
    Ok((base, contexts))
}

fn put(base: &mut Base, table: u32, row: u64, rows: Bytes) -> Result<(), SnapshotError> {
    const ORDER: SnapshotError = SnapshotError::Damaged("rows of a table are not in order");
    const WIDTH: SnapshotError = SnapshotError::Damaged("rows of a table have another length");
    let is = |width: usize| if row == width as u64 { Ok(()) } else { Err(WIDTH) };
    match table {
        NET4 => {
            is(Nets::<V4>::ROW)?;
            base.net4 = Nets::new(rows).ok_or(ORDER)?;
        }
        NET6 => {
            is(Nets::<V6>::ROW)?;
            base.net6 = Nets::new(rows).ok_or(ORDER)?;
        }
        table if table == Kind::Ipv4 as u32 => {
            is(Table::<4>::ROW)?;
            base.v4 = Table::new(rows).ok_or(ORDER)?;
        }
        table => {
            let named = |kind: &&Kind| **kind as u32 == table;
            if let Some(kind) = WIDE.iter().find(named) {
                is(Table::<16>::ROW)?;
                base.wide[slot(*kind)] = Table::new(rows).ok_or(ORDER)?;
            } else if let Some(kind) = NARROW.iter().find(named) {
                is(Table::<8>::ROW)?;
                base.narrow[slot(*kind)] = Table::new(rows).ok_or(ORDER)?;
            } else {
                return Err(SnapshotError::Damaged("a table of an unknown kind"));
            }
        }
    }
    Ok(())
}

fn check_contexts(base: &Base, count: usize) -> Result<(), SnapshotError> {
    let mut most = None;
    base.each_row(&mut |_, meta| most = most.max(Some(meta.context)));
    match most {
        Some(most) if most as usize >= count => {
            Err(SnapshotError::Damaged("a row names a context that is not there"))
        }
        _ => Ok(()),
    }
}
