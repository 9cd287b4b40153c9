//! Segments against hostile disks: any bytes changed, cut or put in.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::StreamWriter;
use metsuke_event::{Event, EventId};
use proptest::prelude::*;

use crate::codec::{decode, encode};
use crate::frame::{HEADER, Segment, end_frame, prepare, read_segment, schema_frame};
use crate::schema::conform;
use crate::support::{Maker, ids};

const NUMBER: u64 = 7;

/// A segment of four frames, their events, and where each frame begins.
fn segment(seed: u64) -> (Vec<u8>, Vec<Vec<Event>>, Vec<usize>) {
    let mut maker = Maker::new(seed);
    let mut bytes = schema_frame(NUMBER).unwrap();
    let (mut groups, mut starts) = (Vec::new(), Vec::new());
    for index in 1..=4 {
        let events = maker.events(6);
        starts.push(bytes.len());
        prepare(encode(&events).unwrap()).unwrap().write_to(&mut bytes, NUMBER, index);
        groups.push(events);
    }
    starts.push(bytes.len());
    (bytes, groups, starts)
}

fn events(segment: &Segment) -> Vec<Event> {
    segment.batches.iter().flat_map(|batch| decode(batch).0).collect()
}

#[test]
fn what_was_written_is_read() {
    let (mut bytes, groups, _) = segment(1);
    let read = read_segment(&bytes, NUMBER);
    assert_eq!(events(&read), groups.concat());
    assert!(read.damage.is_empty());
    bytes.extend(end_frame(NUMBER, 5));
    assert!(read_segment(&bytes, NUMBER).damage.is_empty());
    assert!(read_segment(&[], NUMBER).damage.is_empty());
}

#[test]
fn a_segment_under_another_number_gives_nothing() {
    let (bytes, _, _) = segment(1);
    let read = read_segment(&bytes, NUMBER + 1);
    assert!(read.batches.is_empty() && read.damage.len() == 1);
}

#[test]
fn a_frame_taken_out_is_missed() {
    let (bytes, groups, starts) = segment(2);
    let mut cut = bytes[..starts[1]].to_vec();
    cut.extend(&bytes[starts[2]..]);
    let read = read_segment(&cut, NUMBER);
    assert_eq!(events(&read), [&groups[0][..], &groups[2][..], &groups[3][..]].concat());
    assert_eq!(read.damage.len(), 1);

    // The last one too, when the segment was finished in order.
    let mut cut = bytes[..starts[3]].to_vec();
    cut.extend(end_frame(NUMBER, 5));
    let read = read_segment(&cut, NUMBER);
    assert_eq!(events(&read), groups[..3].concat());
    assert_eq!(read.damage.len(), 1);
}

#[test]
fn columns_come_and_go_between_versions() {
    let batch = encode(&Maker::new(3).events(5)).unwrap();
    let keep: Vec<usize> = (0..batch.num_columns()).filter(|index| index % 3 != 2).collect();
    let mut older = batch.project(&keep).unwrap();
    let unknown: ArrayRef = Arc::new(StringArray::from(vec!["x"; 5]));
    let mut fields: Vec<_> = older.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(arrow::datatypes::Field::new("gone", unknown.data_type().clone(), true)));
    let mut columns = older.columns().to_vec();
    columns.push(unknown);
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    older = RecordBatch::try_new(schema, columns).unwrap();
    // Through Arrow's own stream, as a segment would carry it.
    let mut writer = StreamWriter::try_new(Vec::new(), older.schema_ref()).unwrap();
    writer.write(&older).unwrap();
    let today = conform(&older).unwrap();
    assert_eq!(today.schema_ref(), batch.schema_ref());
    for index in 0..batch.num_columns() {
        let (new, old) = (today.column(index), batch.column(index));
        if keep.contains(&index) {
            assert_eq!(new, old);
        } else {
            assert_eq!(new.null_count(), 5);
        }
    }
}

#[test]
fn the_same_name_with_another_type_is_not_believed() {
    let times: ArrayRef = Arc::new(StringArray::from(vec!["yesterday"]));
    let batch = RecordBatch::try_from_iter([("time", times)]).unwrap();
    let today = conform(&batch).unwrap();
    let column = today.column_by_name("time").unwrap();
    assert!(column.as_any().downcast_ref::<Int64Array>().is_some());
    assert_eq!(column.null_count(), 1);
}

#[derive(Clone, Debug)]
enum Harm {
    Flip(usize, u8),
    Cut(usize),
    PutIn(usize, Vec<u8>),
    TakeOut(usize, usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    let at = 0_usize..20_000;
    prop_oneof![
        (at.clone(), 1_u8..=255).prop_map(|(at, bits)| Harm::Flip(at, bits)),
        at.clone().prop_map(Harm::Cut),
        (at.clone(), prop::collection::vec(any::<u8>(), 1..100))
            .prop_map(|(at, bytes)| Harm::PutIn(at, bytes)),
        (at, 1_usize..300).prop_map(|(at, length)| Harm::TakeOut(at, length)),
    ]
}

fn apply(bytes: &mut Vec<u8>, harm: &Harm) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match harm {
        Harm::Flip(at, bits) => bytes[at % length] ^= bits,
        Harm::Cut(at) => bytes.truncate(at % length),
        Harm::PutIn(at, more) => {
            let at = at % length;
            bytes.splice(at..at, more.iter().copied());
        }
        Harm::TakeOut(at, count) => {
            let at = at % length;
            bytes.drain(at..(at + count).min(length));
        }
    }
}

proptest! {
    /// Whatever happens to the bytes: no panic, no event that was not stored or not as stored,
    /// none twice; and where a single harm cost events, it is said.
    #[test]
    fn harm_never_invents(seed in 1_u64..50, harms in prop::collection::vec(harm(), 1..5)) {
        let (mut bytes, groups, starts) = segment(seed);
        let before = bytes.clone();
        for harm in &harms {
            apply(&mut bytes, harm);
        }
        let read = read_segment(&bytes, NUMBER);
        let found = events(&read);
        let stored = groups.concat();
        for event in &found {
            prop_assert!(stored.contains(event));
        }
        let lost: BTreeSet<EventId> = &ids(&stored) - &ids(&found);
        // A cut exactly between two frames looks like a crash before the next write.
        let between = harms.len() == 1
            && matches!(harms[0], Harm::Cut(at) if starts.contains(&(at % before.len())));
        let cut = harms.iter().any(|harm| matches!(harm, Harm::Cut(_) | Harm::TakeOut(..)));
        // So may several harms together, or a removal of the end.
        let unseen = between || (cut && harms.len() > 1) || tail_gone(&harms, &before);
        prop_assert!(
            lost.is_empty() || unseen || !read.damage.is_empty(),
            "lost {} in silence",
            lost.len()
        );
    }

    /// Bytes from anywhere are no segment and do no harm.
    #[test]
    fn noise_is_not_believed(bytes in prop::collection::vec(any::<u8>(), 0..HEADER * 4)) {
        prop_assert!(read_segment(&bytes, NUMBER).batches.is_empty());
    }
}

/// Whether one removal took the segment's end away from a frame's very beginning.
fn tail_gone(harms: &[Harm], before: &[u8]) -> bool {
    matches!(harms, [Harm::TakeOut(at, count)] if (at % before.len()) + count >= before.len())
}
