//! Mappings of a process, from `/proc/PID/maps` (`proc_pid_maps(5)`), and which of them are asked
//! for.

use metsuke_respond::Regions;
use serde::{Deserialize, Serialize};

/// Most mappings looked at: `vm.max_map_count` is 65,530 unless raised.
pub const MAPPINGS_MAX: usize = 262_144;

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// Behind the last address.
    pub end: u64,
    /// `rwxp` or `rwxs`, `-` for what is not there.
    pub protection: String,
    /// Offset into what is behind it.
    pub offset: u64,
    /// Device of the file behind it, `MAJOR:MINOR` in hexadecimal.
    pub device: String,
    /// Inode of the file behind it; 0 for none.
    pub inode: u64,
    /// Path or the kernel's name (`[heap]`); empty for plain anonymous memory.
    pub backing: String,
}

impl Mapping {
    /// Reads one line.
    pub fn parse(line: &str) -> Option<Self> {
        let mut rest = line;
        let mut word = || {
            let trimmed = rest.trim_start_matches(' ');
            let end = trimmed.find(' ').unwrap_or(trimmed.len());
            let (word, behind) = trimmed.split_at(end);
            rest = behind;
            (!word.is_empty()).then_some(word)
        };
        let (start, end) = word()?.split_once('-')?;
        let protection = word()?.to_owned();
        let offset = u64::from_str_radix(word()?, 16).ok()?;
        let device = word()?.to_owned();
        let inode = word()?.parse().ok()?;
        let start = u64::from_str_radix(start, 16).ok()?;
        let end = u64::from_str_radix(end, 16).ok()?;
        let backing = rest.trim_start_matches(' ').to_owned();
        (start < end).then_some(Self { start, end, protection, offset, device, inode, backing })
    }

    /// Length in bytes.
    pub const fn len(&self) -> u64 {
        self.end - self.start
    }

    /// Never: the kernel has no empty mappings.
    pub const fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// Whether no file of a disk is behind it.
    pub fn is_anonymous(&self) -> bool {
        const NOT_OF_A_DISK: [&str; 4] = ["/memfd:", "/dev/zero", "/SYSV", "/dev/shm/"];
        self.inode == 0 || NOT_OF_A_DISK.iter().any(|prefix| self.backing.starts_with(prefix))
    }

    /// Whether a page that is not present is surely zero: private memory with nothing behind it.
    pub fn absent_is_zero(&self) -> bool {
        self.inode == 0 && self.protection.ends_with('p')
    }

    /// Whether it is among `regions`.
    pub fn is_among(&self, regions: Regions) -> bool {
        match regions {
            Regions::All => true,
            Regions::Anonymous => self.is_anonymous(),
            Regions::Executable => self.protection.as_bytes().get(2) == Some(&b'x'),
            Regions::StackHeap => matches!(self.backing.as_str(), "[stack]" | "[heap]"),
        }
    }
}

/// Every mapping of `text`; the second part is how many lines were not read.
pub fn parse(text: &str) -> (Vec<Mapping>, usize) {
    let mut unread = 0;
    let mut mappings = Vec::new();
    for line in text.lines() {
        match Mapping::parse(line) {
            Some(mapping) if mappings.len() < MAPPINGS_MAX => mappings.push(mapping),
            _ => unread += 1,
        }
    }
    (mappings, unread)
}

#[cfg(test)]
mod tests {
    use metsuke_respond::Regions;

    use super::{Mapping, parse};

    const TEXT: &str = "\
55d0c0000000-55d0c0002000 r--p 00000000 fe:00 131                        /usr/bin/a b
55d0c0002000-55d0c0004000 r-xp 00002000 fe:00 131                        /usr/bin/a b
55d0c1000000-55d0c1021000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000100000 rwxp 00000000 00:00 0\x20
7f0000200000-7f0000201000 rw-s 00000000 00:01 2049                       /memfd:x (deleted)
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
not a mapping
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
";

    #[test]
    fn lines_are_read_with_spaces_in_paths_and_broken_ones_counted() {
        let (mappings, unread) = parse(TEXT);
        assert_eq!((mappings.len(), unread), (7, 1));
        assert_eq!(mappings[0].backing, "/usr/bin/a b");
        assert_eq!((mappings[1].offset, mappings[1].inode), (0x2000, 131));
        assert_eq!(mappings[3].backing, "");
        assert_eq!(mappings[6].start, 0xffff_ffff_ff60_0000);
    }

    #[test]
    fn each_choice_takes_its_own() {
        let (mappings, _) = parse(TEXT);
        let taken = |regions| {
            let taken = mappings.iter().filter(|mapping| mapping.is_among(regions));
            taken.map(|mapping| mapping.start & 0xff_ffff).collect::<Vec<_>>()
        };
        assert_eq!(taken(Regions::All).len(), 7);
        assert_eq!(taken(Regions::Anonymous).len(), 5);
        assert_eq!(taken(Regions::Executable), [0x2000, 0, 0x60_0000]);
        assert_eq!(taken(Regions::StackHeap).len(), 2);
        assert!(!mappings[4].absent_is_zero(), "a memfd has something behind it");
        assert_eq!(mappings.iter().map(Mapping::len).max(), Some(0x10_0000));
    }
}
