//! Which package a file belongs to, and whether it is as the package brought it.

use std::collections::HashMap;

use metsuke_event::inventory::Integrity;

use crate::dpkg::Owner;
use crate::hash::hex;
use crate::index::Entry;

/// Writes down what is known of the owner of the file at `path`; true when that is new.
pub(crate) fn settle(path: &str, entry: &mut Entry, owners: &HashMap<String, Owner>) -> bool {
    let owner = owners.get(path);
    let package = owner.map(|owner| owner.package.clone());
    let integrity = owner.map(|owner| match (&owner.md5, entry.md5) {
        (Some(brought), Some(found)) if *brought == hex(&found) => Integrity::Unmodified,
        (Some(_), Some(_)) => Integrity::Modified,
        _ => Integrity::Unknown,
    });
    entry.owner_known = true;
    if entry.file.package == package && entry.file.integrity == integrity {
        return false;
    }
    (entry.file.package, entry.file.integrity) = (package, integrity);
    true
}
