//! Any bytes as a feed, a report, a snapshot or a filter of indicators: reading never panics, what it
//! gives is canonical and can be looked up. The first byte chooses the reader.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metsuke_event::Timestamp;
use metsuke_intel::filter::Filter;
use metsuke_intel::read::{Format, Origin, findings};
use metsuke_intel::{Kind, Set};

fuzz_target!(|data: &[u8]| {
    let Some((reader, bytes)) = data.split_first() else { return };
    let reader = usize::from(*reader) % (Format::ALL.len() + 4);
    if let Some((_, format)) = Format::ALL.get(reader) {
        let (indicators, _) = format.read(bytes, &Origin::default());
        let mut builder = Set::builder(1);
        assert!(builder.extend(&indicators).is_empty());
        let set = builder.build();
        let now = Timestamp::default();
        for one in indicators.iter().filter(|one| one.kind != Kind::Cidr) {
            assert_eq!(one.kind.normalise(&one.value).as_deref(), Ok(&*one.value));
            let gone = one.expires.is_some_and(|end| end <= now);
            assert!(gone || !set.look_up(one.kind, &one.value, now).is_empty());
        }
        return;
    }
    match reader - Format::ALL.len() {
        0 => {
            let _ = Set::load(&bytes.to_vec().into());
        }
        1 => {
            let _ = Filter::from_bytes(bytes);
        }
        2 => {
            let _ = findings(&String::from_utf8_lossy(bytes));
        }
        _ => {
            let text = String::from_utf8_lossy(bytes);
            for kind in Kind::ALL {
                if let Ok(value) = kind.normalise(&text) {
                    assert_eq!(kind.normalise(&value).as_ref(), Ok(&value));
                }
            }
        }
    }
});
