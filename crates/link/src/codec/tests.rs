//! Tests of the codec: round trips, limits, and what hostile bytes do.

use std::sync::Arc;

use bytes::Bytes;
use metsuke_event::activity::Activity;
use metsuke_event::{Event, FIELDS, FieldType, Kind, Timestamp, Value, ValueRef};
use proptest::prelude::*;
use prost::Message;

use super::{CodecError, decode, encode};
use crate::limits::{BATCH_DECOMPRESSED_MAX, BATCH_EVENTS_MAX, TEXT_MAX};
use crate::proto;

fn value(ty: FieldType) -> BoxedStrategy<Value> {
    match ty {
        FieldType::Text => ".{0,20}".prop_map(|text| Value::Text(text.into())).boxed(),
        FieldType::U64 => any::<u64>().prop_map(Value::U64).boxed(),
        FieldType::I64 => any::<i64>().prop_map(Value::I64).boxed(),
        FieldType::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        FieldType::Ip => any::<std::net::IpAddr>().prop_map(Value::Ip).boxed(),
        FieldType::Time => {
            any::<i64>().prop_map(|nanos| Value::Time(Timestamp::from_nanos(nanos))).boxed()
        }
    }
}

/// An event of any kind with a random half of its fields set.
fn event() -> impl Strategy<Value = Event> {
    let kind = proptest::sample::select(Kind::ALL.to_vec());
    let fields: Vec<_> = FIELDS
        .iter()
        .filter(|spec| spec.id.0 >= 20)
        .map(|spec| proptest::option::of(value(spec.ty)).prop_map(|value| (spec.id, value)))
        .collect();
    (kind, fields, any::<i64>(), proptest::option::of("[a-z]{1,9}")).prop_map(
        |(kind, fields, nanos, host)| {
            let class = Value::Text(kind.name().into());
            let set = fields.into_iter().filter_map(|(id, value)| Some((id, value?)));
            let all = std::iter::once((metsuke_event::field::meta::CLASS, class)).chain(set);
            let (mut event, _) = Event::from_fields(all).expect("the class is known");
            event.time = Timestamp::from_nanos(nanos);
            event.host = host.map(Into::into);
            event
        },
    )
}

fn number(events: &mut [Event], boot: u128) {
    for (index, event) in events.iter_mut().enumerate() {
        event.id.boot = metsuke_event::BootId::from_u128(boot);
        event.id.seq = 3 + 2 * index as u64;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn round_trip(mut events in proptest::collection::vec(event(), 1..20), boot: u128) {
        number(&mut events, boot);
        if events.len() > 2 {
            events[1].process = Arc::clone(&events[0].process);
            events[2].unmapped.push("Weird", ValueRef::I64(-4));
        }
        let encoded = encode(&events).expect("within bounds");
        let (_, decoded) = decode(&encoded.to_proto()).expect("reads back");
        prop_assert_eq!(decoded, events);
    }

    #[test]
    fn any_bytes_are_refused_or_read_but_never_panic(bytes: Vec<u8>, compress: bool) {
        let payload = if compress {
            zstd::bulk::compress(&bytes, 1).expect("compresses")
        } else {
            bytes
        };
        let batch = proto::Batch { boot: vec![0; 16].into(), activities_zstd: payload.into(), ..Default::default() };
        let _ = decode(&batch);
    }
}

fn exec(seq: u64) -> Event {
    let mut event = Event::empty(Kind::ProcessExec);
    event.id.seq = seq;
    event
}

fn refused(batch: &proto::Batch) -> String {
    decode(batch).expect_err("refused").to_string()
}

#[test]
fn processes_travel_once_and_are_shared_after_decoding() {
    let process = Arc::new(metsuke_event::Process {
        cmd_line: Some("x".repeat(1_000).into()),
        ..Default::default()
    });
    let events: Vec<Event> =
        (1..=500).map(|seq| Event { process: Arc::clone(&process), ..exec(seq) }).collect();
    let encoded = encode(&events).expect("within bounds");
    let (_, decoded) = decode(&encoded.to_proto()).expect("reads back");
    assert!(decoded.iter().all(|event| Arc::ptr_eq(&event.process, &decoded[0].process)));
}

#[test]
fn bounds_hold() {
    assert!(matches!(encode(&[]), Err(CodecError::Empty)));
    let many: Vec<Event> = (0..=BATCH_EVENTS_MAX as u64).map(exec).collect();
    assert!(matches!(encode(&many), Err(CodecError::TooMany { .. })));
    assert!(matches!(encode(&[exec(2), exec(2)]), Err(CodecError::Order { seq: 2 })));

    let bomb = zstd::bulk::compress(&vec![0; BATCH_DECOMPRESSED_MAX + 1], 1).expect("compresses");
    let mut batch = encode(&[exec(1)]).expect("one event").to_proto();
    batch.activities_zstd = bomb.into();
    assert!(refused(&batch).contains("decompressed"), "{}", refused(&batch));

    // Two bytes on the wire each, a hundred in memory: refused before they are decoded.
    let hollow: Vec<u8> = [0x12, 0x00].repeat(BATCH_EVENTS_MAX + 1);
    batch.activities_zstd = zstd::bulk::compress(&hollow, 1).expect("compresses").into();
    assert!(refused(&batch).contains("at most 10000"), "{}", refused(&batch));
}

#[test]
fn the_head_must_match_and_the_envelope_is_not_the_peers() {
    let mut batch = encode(&[exec(5), exec(6)]).expect("two events").to_proto();
    batch.last_seq = 7;
    assert!(refused(&batch).contains("head"));

    let endpoint = proto::Field {
        id: 4,
        value: Some(proto::Value { kind: Some(proto::value::Kind::Text("0".repeat(32))) }),
    };
    let activity = proto::Activity {
        seq: 1,
        class: "process.exec".to_owned(),
        fields: vec![endpoint],
        ..Default::default()
    };
    let message = proto::Activities { processes: Vec::new(), activities: vec![activity] };
    let payload = zstd::bulk::compress(&message.encode_to_vec(), 1).expect("compresses");
    let batch = proto::Batch {
        boot: Bytes::from_static(&[0; 16]),
        first_seq: 1,
        last_seq: 1,
        count: 1,
        activities_zstd: payload.into(),
    };
    assert!(refused(&batch).contains("envelope"));
}

#[test]
fn long_texts_are_cut_on_a_character() {
    let mut event = exec(1);
    event.process = Arc::new(metsuke_event::Process {
        cmd_line: Some("é".repeat(TEXT_MAX).into()),
        ..Default::default()
    });
    let encoded = encode(&[event]).expect("cut");
    let (_, events) = decode(&encoded.to_proto()).expect("reads back");
    let cmd_line = events[0].process.cmd_line.as_deref().expect("kept");
    assert!(cmd_line.len() <= TEXT_MAX && cmd_line.len() > TEXT_MAX - 4);
    assert!(matches!(events[0].activity, Activity::Process(_)));
}
