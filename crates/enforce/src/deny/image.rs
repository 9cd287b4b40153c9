//! The list as the bytes of the kernel's tables (`bpf/deny.h`), and the way from one to the next.
//!
//! Invariant: an entry's verdict is one value of one table, so that it changes at once or not at
//! all. What two entries say of the same key is one value that says both.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;

use super::list::{DenyList, MODULE_NAME_MAX, Mode, Operations, PATH_MAX, Subject};

/// The kernel's number of the device that `stat` calls `device`.
pub(super) fn kernel_device(device: u64) -> u32 {
    (libc::major(device) << 20) | (libc::minor(device) & 0xf_ffff)
}

/// The device number of `stat` for what the kernel calls `device`.
pub(super) fn stat_device(device: u32) -> u64 {
    libc::makedev(device >> 20, device & 0xf_ffff)
}

/// `struct entry`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    id: u32,
    deny: u16,
    observe: u16,
}

impl Verdict {
    fn join(&mut self, id: u32, operations: Operations, mode: Mode) {
        if self.deny | self.observe == 0 || (mode == Mode::Deny && self.deny == 0) {
            self.id = id;
        }
        match mode {
            Mode::Deny => self.deny |= operations.0,
            Mode::Observe => self.observe |= operations.0,
        }
    }

    /// Its bytes.
    pub(super) fn bytes(self) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&self.id.to_ne_bytes());
        bytes[4..6].copy_from_slice(&self.deny.to_ne_bytes());
        bytes[6..].copy_from_slice(&self.observe.to_ne_bytes());
        bytes
    }
}

/// Whose doings are asked about.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// The kernel's number of the control group.
    pub(super) group: u64,
    /// How deep it lies; 0 for the whole host.
    pub(super) level: u32,
    /// The sensor.
    pub(super) own_pid: u32,
    /// Its guard; 0 for none.
    pub(super) guard: u32,
    /// Start of the guard, in clock ticks since boot.
    pub(super) guard_start: u64,
    /// Whether children of either are spared: 1, or 0.
    pub(super) kin: u32,
}

/// One table, by its name in the object.
pub(super) type Table = BTreeMap<Vec<u8>, Verdict>;

/// Names of the tables.
pub(super) const TABLES: [&str; 6] =
    ["by_sha256", "by_inode", "by_path", "by_module", "endpoints", "prefixes"];

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) tables: [Table; 6],
    everything: Verdict,
    memory: Verdict,
    unknown: Verdict,
    anonymous: Verdict,
    masks: [u16; 5],
    any: u16,
    observe_only: bool,
}

const SHA256: usize = 0;
const INODE: usize = 1;
const PATH: usize = 2;
const MODULE: usize = 3;
const ENDPOINT: usize = 4;
const PREFIX: usize = 5;

impl Image {
    /// Of `list`, the one in force as the `generation`th.
    pub(super) fn new(list: &DenyList, generation: u16) -> Self {
        let mut image = Self { observe_only: list.only_observes(), ..Self::default() };
        for (id, entry) in (u32::from(generation) << 16..).zip(list.entries()) {
            image.any |= entry.operations.0;
            let verdict = match &entry.subject {
                Subject::Everything => &mut image.everything,
                Subject::Memory => &mut image.memory,
                Subject::Anonymous => &mut image.anonymous,
                Subject::UnknownCopy => {
                    // Something is unknown only if the kernel is asked to hash.
                    image.masks[SHA256] |= entry.operations.0;
                    &mut image.unknown
                }
                subject => {
                    let (table, key) = key(subject);
                    image.masks[table.min(ENDPOINT)] |= entry.operations.0;
                    image.tables[table].entry(key).or_default()
                }
            };
            verdict.join(id, entry.operations, entry.mode);
        }
        image.widen();
        image
    }

    /// The kernel finds the narrowest network only, so it says also what those around it say.
    fn widen(&mut self) {
        let around = self.tables[PREFIX].clone();
        for (key, verdict) in &mut self.tables[PREFIX] {
            for (wide, said) in around.iter().filter(|(wide, _)| *wide != key && holds(wide, key)) {
                debug_assert_eq!(wide.len(), key.len());
                if verdict.deny == 0 && said.deny != 0 {
                    verdict.id = said.id;
                }
                verdict.deny |= said.deny;
                verdict.observe |= said.observe;
            }
        }
    }

    /// The way to `new` broke off: which of its entries the kernel has, nobody knows. No entry has
    /// no operation, so all of either are written again or taken away by the next list.
    pub(super) fn doubt(&mut self, new: &Self) {
        for (known, new) in self.tables.iter_mut().zip(&new.tables) {
            known.extend(new.keys().map(|key| (key.clone(), Verdict::default())));
            for verdict in known.values_mut() {
                *verdict = Verdict::default();
            }
        }
    }

    /// `struct settings`.
    pub(super) fn settings(&self, place: Place) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(80);
        bytes.extend(place.group.to_ne_bytes());
        bytes.extend(place.level.to_ne_bytes());
        for number in [place.own_pid, place.guard, place.kin] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend(place.guard_start.to_ne_bytes());
        let [sha256, inode, path, module, destination] = self.masks;
        let only = u16::from(self.observe_only);
        for mask in [self.any, sha256, inode, path, destination, module, only, 0] {
            bytes.extend(mask.to_ne_bytes());
        }
        for verdict in [self.everything, self.memory, self.unknown, self.anonymous] {
            bytes.extend(verdict.bytes());
        }
        bytes
    }
}

/// The table and the key in it; subjects of the settings have none.
fn key(subject: &Subject) -> (usize, Vec<u8>) {
    let padded = |bytes: &[u8], size: usize| {
        let mut key = bytes.to_vec();
        key.resize(size, 0);
        key
    };
    match subject {
        Subject::Sha256(hash) => (SHA256, hash.to_vec()),
        Subject::Inode { device, inode } => {
            let mut key = inode.to_ne_bytes().to_vec();
            key.extend(kernel_device(*device).to_ne_bytes());
            (INODE, padded(&key, 16))
        }
        Subject::Path(path) => (PATH, padded(path.as_os_str().as_bytes(), PATH_MAX + 1)),
        Subject::Module(name) => (MODULE, padded(name.as_bytes(), MODULE_NAME_MAX + 1)),
        Subject::Destination { address, port: Some(port), .. } => {
            let mut key = mapped(*address).to_vec();
            key.extend(port.to_ne_bytes());
            (ENDPOINT, padded(&key, 20))
        }
        Subject::Destination { address, bits, port: None } => {
            let bits = u32::from(*bits) + if address.is_ipv4() { 96 } else { 0 };
            let mut key = bits.to_ne_bytes().to_vec();
            key.extend(mapped(*address));
            (PREFIX, key)
        }
        Subject::Everything | Subject::Memory | Subject::UnknownCopy | Subject::Anonymous => {
            (PREFIX, Vec::new())
        }
    }
}

/// IPv4 as `::ffff:a.b.c.d`.
fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Whether the network `wide` holds the network `narrow`, both keys of the table.
fn holds(wide: &[u8], narrow: &[u8]) -> bool {
    let parts = |key: &[u8]| {
        let bits = key.first_chunk::<4>().map_or(0, |bits| u32::from_ne_bytes(*bits));
        let address = key.get(4..).and_then(<[u8]>::first_chunk::<16>).copied();
        (bits.min(128), u128::from_be_bytes(address.unwrap_or_default()))
    };
    let ((wide_bits, wide), (narrow_bits, narrow)) = (parts(wide), parts(narrow));
    let shift = 128 - wide_bits;
    wide_bits <= narrow_bits
        && wide.checked_shr(shift).unwrap_or(0) == narrow.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::list::{DenyList, Entry, Mode, Operations, Subject};
    use super::{Image, MODULE, PREFIX, Place, kernel_device, stat_device};

    #[test]
    fn devices_go_both_ways() {
        for device in [libc::makedev(8, 1), libc::makedev(0, 45), libc::makedev(259, 70_000)] {
            assert_eq!(stat_device(kernel_device(device)), device);
        }
    }

    #[test]
    fn a_narrow_network_says_what_the_wide_ones_say() {
        let mut list = DenyList::default();
        for (address, bits, mode) in [
            ("10.0.0.0", 8, Mode::Observe),
            ("10.1.0.0", 16, Mode::Deny),
            ("10.1.2.0", 24, Mode::Observe),
            ("10.2.0.0", 16, Mode::Observe),
        ] {
            let address = address.parse().unwrap();
            let subject = Subject::Destination { address, bits, port: None };
            list.add(Entry { subject, operations: Operations::CONNECT, mode }).unwrap();
        }
        let image = Image::new(&list, 0);
        let said: Vec<_> = image.tables[PREFIX].values().map(|v| (v.deny != 0, v.id)).collect();
        assert_eq!(said, [(false, 0), (true, 1), (false, 3), (true, 1)]);
    }

    #[test]
    fn after_a_list_that_broke_off_every_entry_is_in_doubt() {
        let list = |names: &[&str]| {
            let mut list = DenyList::default();
            for name in names {
                let subject = Subject::Module((*name).to_owned());
                let (operations, mode) = (Operations::MODULE_LOAD, Mode::Deny);
                list.add(Entry { subject, operations, mode }).unwrap();
            }
            Image::new(&list, 1)
        };
        let (mut held, new) = (list(&["a", "b"]), list(&["b", "c"]));
        held.doubt(&new);
        // What the next list does not name is taken away, what it names is written again.
        assert_eq!(held.tables[MODULE].len(), 3);
        assert!(new.tables[MODULE].iter().all(|(key, said)| held.tables[MODULE][key] != *said));
    }

    #[test]
    fn settings_have_the_size_of_the_struct() {
        assert_eq!(Image::default().settings(Place::default()).len(), 80);
    }
}
