//! The spool against a model: a plain queue of batches.

use std::collections::VecDeque;
use std::io::Write;

use metsuke_event::{BootId, Event, EventId, GivenUp, Kind, Tally, Timestamp};
use proptest::prelude::*;

use super::{Loss, Position, Spool, SpoolConfig};
use crate::codec::{Encoded, encode, given_up};
use crate::limits::BATCH_COMPRESSED_MAX;

fn batch(number: u64, bytes: usize) -> Encoded {
    Encoded {
        boot: BootId::from_u128(7),
        first_seq: number * 10,
        last_seq: number * 10 + 9,
        count: 10,
        from: Timestamp::from_millis(number.cast_signed()),
        to: Timestamp::from_millis(number.cast_signed() + 1),
        payload: vec![u8::try_from(number % 251).expect("small"); bytes].into(),
    }
}

fn config(dir: &std::path::Path) -> SpoolConfig {
    SpoolConfig { segment_bytes: 1_000, max_bytes: 1 << 20, ..SpoolConfig::new(dir.to_owned()) }
}

fn rest(spool: &mut Spool, mut at: Position) -> Vec<Encoded> {
    let mut found = Vec::new();
    while let Some((batch, behind)) = spool.next(at) {
        found.push(batch);
        at = behind;
    }
    found
}

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    /// Reads up to so many and commits them.
    Deliver(usize),
    /// The process is killed; perhaps in the middle of a write.
    Restart(Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..700).prop_map(Step::Append),
        2 => (0_usize..6).prop_map(Step::Deliver),
        1 => proptest::collection::vec(any::<u8>(), 0..90).prop_map(Step::Restart),
    ]
}

fn tear(dir: &std::path::Path, garbage: &[u8]) {
    let newest = std::fs::read_dir(dir)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .max();
    if let Some(newest) = newest {
        let mut file = std::fs::OpenOptions::new().append(true).open(newest).expect("opens");
        file.write_all(garbage).expect("writes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn it_is_a_queue_that_outlives_its_process(steps in proptest::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::open(config(dir.path())).expect("opens");
        let mut model = VecDeque::new();
        let mut number = 0;
        for step in steps {
            match step {
                Step::Append(bytes) => {
                    number += 1;
                    let batch = batch(number, bytes);
                    spool.append(&batch);
                    model.push_back(batch);
                }
                Step::Deliver(count) => {
                    let mut at = spool.start();
                    for _ in 0..count {
                        let Some((batch, behind)) = spool.next(at) else { break };
                        prop_assert_eq!(Some(batch), model.pop_front());
                        at = behind;
                    }
                    spool.commit(at);
                }
                Step::Restart(garbage) => {
                    drop(spool);
                    tear(dir.path(), &garbage);
                    spool = Spool::open(config(dir.path())).expect("opens again");
                }
            }
            let start = spool.start();
            prop_assert_eq!(rest(&mut spool, start), model.iter().cloned().collect::<Vec<_>>());
            prop_assert_eq!(spool.depth().events, 10 * model.len() as u64);
            prop_assert_eq!(spool.take_losses(), Vec::<Loss>::new());
        }
    }

    #[test]
    fn what_does_not_fit_is_counted(sizes in proptest::collection::vec(1_usize..900, 1..80)) {
        let dir = tempfile::tempdir().expect("a folder");
        let config = SpoolConfig { max_bytes: 4_000, ..config(dir.path()) };
        let mut spool = Spool::open(config).expect("opens");
        for (number, bytes) in sizes.iter().enumerate() {
            spool.append(&batch(number as u64, *bytes));
            prop_assert!(spool.depth().disk_bytes <= 4_000);
        }
        let start = spool.start();
        let kept = rest(&mut spool, start);
        let lost: u64 = spool.take_losses().into_iter().filter_map(|loss| loss.lost).map(|lost| lost.activities()).sum();
        prop_assert_eq!(lost + 10 * kept.len() as u64, 10 * sizes.len() as u64);
        prop_assert_eq!(kept.last().map(|batch| batch.first_seq), Some(10 * (sizes.len() as u64 - 1)));
        let order: Vec<_> = kept.iter().map(|batch| batch.first_seq).collect();
        prop_assert!(order.is_sorted());
    }
}

#[test]
fn what_is_given_up_is_counted_by_kind() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = SpoolConfig { max_bytes: 1_500, ..config(dir.path()) };
    let mut spool = Spool::open(config).expect("opens");
    let kinds = [Kind::ProcessExec, Kind::FileCreate, Kind::FileCreate, Kind::FileDelete];
    let mut made = Tally::default();
    for seq in 1..=60_u64 {
        let kind = kinds[usize::try_from(seq % 4).expect("small")];
        let mut event = Event::empty(kind);
        event.id = EventId { seq, boot: BootId::from_u128(7), ..event.id };
        made.add(Some(kind), 1);
        spool.append(&encode(&[event]).expect("encodes"));
    }
    let start = spool.start();
    let mut accounted = Tally::default();
    for loss in spool.take_losses() {
        assert_eq!(loss.reason, "spool_full");
        accounted.merge(&loss.lost.expect("counted").all);
    }
    assert!(accounted.get(Kind::FileCreate) > accounted.get(Kind::ProcessExec), "{accounted}");
    for batch in rest(&mut spool, start) {
        accounted.merge(&given_up(&batch).all);
    }
    assert_eq!(accounted, made, "kept or counted, each of its kind");
}

#[test]
fn a_reader_survives_losing_the_place_it_stands_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = SpoolConfig { max_bytes: 3_000, ..config(dir.path()) };
    let mut spool = Spool::open(config).expect("opens");
    spool.append(&batch(1, 800));
    let (_, behind) = spool.next(spool.start()).expect("there");
    for number in 2..=20 {
        spool.append(&batch(number, 800));
    }
    let (next, later) = spool.next(behind).expect("there is more");
    assert!(next.first_seq > 20, "the next one that is still there");
    spool.commit(behind);
    spool.commit(later);
    assert!(spool.start() == later);
}

#[test]
fn damage_in_the_middle_is_cut_off_and_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut spool = Spool::open(config(dir.path())).expect("opens");
    for number in 1..=9 {
        spool.append(&batch(number, 300));
    }
    drop(spool);
    let mut names: Vec<_> = std::fs::read_dir(dir.path())
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seg"))
        .collect();
    names.sort();
    let mut bytes = std::fs::read(&names[1]).expect("reads");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&names[1], bytes).expect("writes");

    let mut spool = Spool::open(config(dir.path())).expect("opens");
    let losses = spool.take_losses();
    assert_eq!(losses.len(), 1, "{losses:?}");
    assert_eq!((losses[0].reason, &losses[0].lost), ("spool_damaged", &None));
    assert!(losses[0].from < losses[0].to);
    let start = spool.start();
    let kept = rest(&mut spool, start);
    assert!(kept.len() >= 6 && kept.len() < 9, "{}", kept.len());
    assert_eq!(kept.last().map(|batch| batch.first_seq), Some(90), "the rest is served");
}

/// The largest batch there may be comes back; a larger one would be taken for damage when it is
/// read, with all behind it, and is counted instead.
#[test]
fn a_batch_that_could_not_be_read_again_is_not_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let config =
        || SpoolConfig { segment_bytes: 64 << 20, max_bytes: 64 << 20, ..config(dir.path()) };
    let mut spool = Spool::open(config()).expect("opens");
    let batches =
        [batch(1, 100), batch(2, BATCH_COMPRESSED_MAX), batch(3, BATCH_COMPRESSED_MAX + 1)];
    for batch in batches.iter().chain([&batch(4, 100)]) {
        spool.append(batch);
    }
    let kept = |spool: &mut Spool| -> Vec<u64> {
        let start = spool.start();
        rest(spool, start).iter().map(|batch| batch.first_seq).collect()
    };
    assert_eq!(kept(&mut spool), [10, 20, 40]);
    let lost = Loss {
        reason: "batch_too_large",
        lost: Some(GivenUp::unknown(10)),
        from: batches[2].from,
        to: batches[2].to,
    };
    assert_eq!(spool.take_losses(), [lost]);
    assert_eq!(spool.depth().events, 30);
    drop(spool);
    let mut spool = Spool::open(config()).expect("opens again");
    assert_eq!(kept(&mut spool), [10, 20, 40]);
    assert_eq!(spool.take_losses(), []);
}
