//! Inventory messages: a [`Delta`] as JSON in one zstd frame. `docs/spec/link.md` explains how
//! sensor and server keep one generation.
//!
//! Invariant: what [`unpack`] returns is within every bound of `limits`; a hash is 64 lower-case
//! hexadecimal digits.

use metsuke_event::inventory::{Delta, Item, Survey};

use crate::limits::{
    INVENTORY_COMPRESSED_MAX, INVENTORY_DECOMPRESSED_MAX, INVENTORY_ITEM_MAX, INVENTORY_ITEMS_MAX,
    INVENTORY_TEXT_MAX, LIST_MAX,
};
use crate::proto;
use crate::wire::{WireError, bounded};

/// Effort of zstd: inventories are rare and sent once, so size counts more than time.
const ZSTD_LEVEL: i32 = 6;

/// The server's answer to an inventory message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The generation the server holds; 0 for none.
    pub generation: u64,
    /// Why the message will never be taken.
    pub refused: Option<String>,
}

impl Seen {
    pub(crate) fn from_proto(seen: proto::InventorySeen) -> Self {
        let refused = Some(seen.refused).filter(|text| !text.is_empty());
        Self { generation: seen.generation, refused }
    }
}

/// A delta for the wire.
///
/// # Errors
/// When it is over a bound.
pub fn pack(delta: &Delta) -> Result<proto::Inventory, WireError> {
    check(delta)?;
    let text = serde_json::to_vec(delta).map_err(|_| WireError::Unreadable("inventory"))?;
    bounded("inventory", text.len(), INVENTORY_DECOMPRESSED_MAX)?;
    let packed =
        zstd::bulk::compress(&text, ZSTD_LEVEL).map_err(|_| WireError::Unreadable("inventory"))?;
    bounded("inventory, compressed", packed.len(), INVENTORY_COMPRESSED_MAX)?;
    Ok(proto::Inventory { delta_zstd: packed.into() })
}

/// A delta from the wire.
///
/// # Errors
/// When it is over a bound, or cannot be read.
pub fn unpack(message: &proto::Inventory) -> Result<Delta, WireError> {
    let unreadable = || WireError::Unreadable("inventory");
    let payload = &message.delta_zstd;
    bounded("inventory, compressed", payload.len(), INVENTORY_COMPRESSED_MAX)?;
    let size = zstd::zstd_safe::get_frame_content_size(payload).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok()).ok_or_else(unreadable)?;
    bounded("inventory", size, INVENTORY_DECOMPRESSED_MAX)?;
    let text = zstd::bulk::decompress(payload, size).map_err(|_| unreadable())?;
    let delta: Delta = serde_json::from_slice(&text).map_err(|_| unreadable())?;
    check(&delta)?;
    Ok(delta)
}

fn check(delta: &Delta) -> Result<(), WireError> {
    let items = delta.set.len().saturating_add(delta.removed.len());
    bounded("inventory items", items, INVENTORY_ITEMS_MAX)?;
    bounded("surveys", delta.surveys.len(), LIST_MAX)?;
    delta.surveys.iter().try_for_each(survey)?;
    for (_, key) in &delta.removed {
        text("removed", key)?;
    }
    delta.set.iter().try_for_each(item)
}

fn text(what: &'static str, text: &str) -> Result<(), WireError> {
    bounded(what, text.len(), INVENTORY_TEXT_MAX)
}

fn survey(survey: &Survey) -> Result<(), WireError> {
    bounded("places", survey.places.len(), LIST_MAX)?;
    bounded("left_out", survey.left_out.len(), LIST_MAX)?;
    survey.places.iter().try_for_each(|place| text("places", place))?;
    text("missing", survey.missing.as_deref().unwrap_or_default())?;
    survey.left_out.iter().try_for_each(|left| {
        text("left_out", &left.example)?;
        text("reason", &left.reason)
    })
}

fn item(item: &Item) -> Result<(), WireError> {
    text("key", &item.key())?;
    let size = serde_json::to_vec(item).map_err(|_| WireError::Unreadable("inventory item"))?.len();
    bounded("inventory item", size, INVENTORY_ITEM_MAX)?;
    let lists = match item {
        Item::User(user) => &user.groups,
        Item::Product(product) => &product.evidence,
        _ => &Vec::new(),
    };
    // An account may be in many groups; more than this is no account.
    bounded("list of an item", lists.len(), INVENTORY_ITEMS_MAX)?;
    match item.sha256() {
        Some(hash) if !is_sha256(hash) => Err(WireError::Unreadable("sha256")),
        _ => Ok(()),
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use metsuke_event::Timestamp;
    use metsuke_event::inventory::{Delta, Executable, Format, Item, ItemKind, Stage, Survey};

    use super::{pack, unpack};
    use crate::limits::{INVENTORY_DECOMPRESSED_MAX, INVENTORY_ITEMS_MAX};
    use crate::proto;

    fn executable(path: &str, sha256: &str) -> Item {
        Item::Executable(Executable {
            path: path.to_owned(),
            sha256: Some(sha256.to_owned()),
            hash_missing: None,
            format: Format::Elf,
            size: 1,
            mode: 0o755,
            uid: 0,
            modified: Timestamp::from_nanos(5),
            package: None,
            integrity: None,
        })
    }

    fn delta(set: Vec<Item>) -> Delta {
        let survey = Survey {
            kind: ItemKind::Executable,
            taken: Some(Timestamp::from_nanos(7)),
            items: 1,
            places: vec!["/usr".to_owned()],
            left_out: Vec::new(),
            missing: None,
        };
        Delta {
            base: 1,
            generation: 2,
            stage: Stage::Change,
            surveys: vec![survey],
            set,
            removed: vec![(ItemKind::User, "eve".to_owned())],
        }
    }

    #[test]
    fn what_was_packed_is_unpacked() {
        let delta = delta(vec![executable("/usr/bin/a\u{fffd}", &"0a".repeat(32))]);
        assert_eq!(unpack(&pack(&delta).expect("within bounds")).expect("readable"), delta);
    }

    #[test]
    fn no_name_of_a_file_keeps_the_rest_from_being_sent() {
        let hash = "0a".repeat(32);
        // The longest path there is, as `inventory` writes what is no UTF-8.
        let longest = format!("/{}", "\\xff".repeat(4_095));
        assert!(pack(&delta(vec![executable(&longest, &hash)])).is_ok());
        // Names without order, as many as the ledger puts into one message.
        let mut seed = 1_u64;
        let mut name = || -> String {
            let letters = (0..4_000).map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'0' + u8::try_from(seed >> 58).unwrap_or(0))
            });
            letters.collect()
        };
        let items: Vec<Item> = (0..500).map(|_| executable(&name(), &hash)).collect();
        let packed = pack(&delta(items)).expect("within bounds");
        assert!(packed.delta_zstd.len() > 1 << 20, "nothing compresses them");
        assert!(unpack(&packed).is_ok());
    }

    #[test]
    fn what_is_over_a_bound_is_refused_on_both_sides() {
        let hash = "0a".repeat(32);
        let many = (0..=INVENTORY_ITEMS_MAX).map(|n| executable(&format!("/{n}"), &hash));
        assert!(pack(&delta(many.collect())).is_err());
        assert!(pack(&delta(vec![executable(&"x".repeat(20_000), &hash)])).is_err());
        // No text of an item but its key has a bound of its own.
        let Item::Executable(file) = executable("/a", &hash) else { panic!("an executable") };
        let file = Executable { package: Some("x".repeat(100_000)), ..file };
        assert!(pack(&delta(vec![Item::Executable(file)])).is_err());
        for bad in ["", "0A", &"0A".repeat(32), &"zz".repeat(32)] {
            assert!(pack(&delta(vec![executable("/a", bad)])).is_err(), "{bad}");
        }
        let bomb = vec![b' '; INVENTORY_DECOMPRESSED_MAX + 1];
        let frame = zstd::bulk::compress(&bomb, 1).expect("a frame");
        assert!(frame.len() < 10_000, "a small frame");
        let error = unpack(&proto::Inventory { delta_zstd: frame.into() });
        assert!(error.expect_err("too large").to_string().contains("inventory"));
        assert!(unpack(&proto::Inventory { delta_zstd: vec![1, 2, 3].into() }).is_err());
    }
}
