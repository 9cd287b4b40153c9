//! The immutable part of a set: one table for each kind.

use std::net::IpAddr;

use super::key::Key;
use super::nets::{Nets, V4, V6};
use super::table::Table;
use super::{Memory, Meta};
use crate::indicator::Kind;

/// Kinds with keys of 16 bytes.
pub(crate) const WIDE: [Kind; 6] =
    [Kind::Sha256, Kind::Sha1, Kind::Md5, Kind::Ja3, Kind::Certificate, Kind::Ipv6];
/// Kinds with keys of 8 bytes.
pub(crate) const NARROW: [Kind; 6] =
    [Kind::Domain, Kind::Url, Kind::Path, Kind::Ja4, Kind::Name, Kind::Email];

/// Where a kind stands in [`WIDE`] or [`NARROW`].
pub(crate) const fn slot(kind: Kind) -> usize {
    match kind {
        Kind::Sha256 | Kind::Domain | Kind::Ipv4 | Kind::Cidr => 0,
        Kind::Sha1 | Kind::Url => 1,
        Kind::Md5 | Kind::Path => 2,
        Kind::Ja3 | Kind::Ja4 => 3,
        Kind::Certificate | Kind::Name => 4,
        Kind::Ipv6 | Kind::Email => 5,
    }
}

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Base {
    pub(crate) seed: u64,
    pub(crate) wide: [Table<16>; 6],
    pub(crate) narrow: [Table<8>; 6],
    pub(crate) v4: Table<4>,
    pub(crate) net4: Nets<V4>,
    pub(crate) net6: Nets<V6>,
}

impl Base {
    pub(crate) fn len(&self) -> usize {
        let tables = self.wide.iter().map(Table::len).chain(self.narrow.iter().map(Table::len));
        tables.sum::<usize>() + self.v4.len() + self.net4.len() + self.net6.len()
    }

    /// Gives what the rows with `key` say.
    #[inline]
    pub(crate) fn find(&self, key: &Key, each: impl FnMut(Meta)) {
        match key {
            Key::Wide(kind, bytes) => self.wide[slot(*kind)].find(bytes, each),
            Key::Narrow(kind, bytes) => self.narrow[slot(*kind)].find(bytes, each),
            Key::V4(bytes) => self.v4.find(bytes, each),
            // A network is met by its addresses, not by its name.
            Key::Net4(..) | Key::Net6(..) => {}
        }
    }

    /// Gives the networks that hold `address`, the narrowest first.
    pub(crate) fn networks(&self, address: IpAddr, mut each: impl FnMut(Key, Meta)) {
        match address {
            IpAddr::V4(v4) => self.net4.find(&v4.octets(), |first, length, meta| {
                each(Key::Net4(first, length), meta);
            }),
            IpAddr::V6(v6) => self.net6.find(&v6.octets(), |first, length, meta| {
                each(Key::Net6(first, length), meta);
            }),
        }
    }

    /// Every row, table by table.
    pub(crate) fn each_row(&self, each: &mut dyn FnMut(Key, Meta)) {
        for (kind, table) in WIDE.into_iter().zip(&self.wide) {
            table.each(&mut |key, meta| each(Key::Wide(kind, key), meta));
        }
        for (kind, table) in NARROW.into_iter().zip(&self.narrow) {
            table.each(&mut |key, meta| each(Key::Narrow(kind, key), meta));
        }
        self.v4.each(&mut |key, meta| each(Key::V4(key), meta));
        self.net4.each(&mut |first, length, meta| each(Key::Net4(first, length), meta));
        self.net6.each(&mut |first, length, meta| each(Key::Net6(first, length), meta));
    }

    pub(crate) fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        let mut add = |rows: usize, index: usize| {
            memory.rows += rows;
            memory.indices += index;
        };
        for table in &self.wide {
            add(table.rows().len(), table.index_bytes());
        }
        for table in &self.narrow {
            add(table.rows().len(), table.index_bytes());
        }
        add(self.v4.rows().len(), self.v4.index_bytes());
        add(self.net4.rows().len(), self.net4.index_bytes());
        add(self.net6.rows().len(), self.net6.index_bytes());
        memory
    }
}

#[cfg(test)]
mod tests {
    use super::{NARROW, WIDE, slot};

    #[test]
    fn slots_are_places() {
        for list in [WIDE, NARROW] {
            for (place, kind) in list.into_iter().enumerate() {
                assert_eq!(slot(kind), place, "{kind:?}");
            }
        }
    }
}
