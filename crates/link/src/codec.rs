//! Activities to and from the wire: a batch is one zstd frame, processes stand in it once.
//!
//! Invariant: decoding what was encoded gives the same events (but for texts longer than
//! `TEXT_MAX`, which are cut when encoded). Decoding never allocates more than a small multiple of
//! `BATCH_DECOMPRESSED_MAX`: the frame is walked and counted before it is taken apart.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use metsuke_event::field::{FieldSpec, by_id, meta};
use metsuke_event::{BootId, Event, FieldId, GivenUp, Process, Timestamp, Value};
use prost::Message;

use crate::limits::{
    BATCH_COMPRESSED_MAX, BATCH_DECOMPRESSED_MAX, BATCH_EVENTS_MAX, FIELDS_MAX, TEXT_MAX,
};
use crate::proto;

mod guard;

/// Effort of zstd: 1 costs a third of 3 and is 8 % larger on activities.
const ZSTD_LEVEL: i32 = 1;

/// A batch that cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Nothing to encode.
    #[error("a batch needs at least one activity")]
    Empty,
    /// More activities than allowed.
    #[error(
        "the batch holds {found} activities, at most {BATCH_EVENTS_MAX} are taken; send fewer at a time"
    )]
    TooMany {
        /// How many.
        found: usize,
    },
    /// More bytes than allowed.
    #[error(
        "the batch has {found} bytes {what}, at most {max} are taken; send fewer activities at a time"
    )]
    TooLarge {
        /// `compressed` or `decompressed`.
        what: &'static str,
        /// How many.
        found: u64,
        /// The bound.
        max: usize,
    },
    /// Activities of several boots, or not in order.
    #[error("activity {seq} is not of the batch's boot or not in order of its sequence number")]
    Order {
        /// Where.
        seq: u64,
    },
    /// zstd says no.
    #[error("the batch could not be (de)compressed; it is damaged or no zstd frame")]
    Zstd(#[source] std::io::Error),
    /// Protobuf says no.
    #[error("the batch is no protobuf message of this protocol")]
    Protobuf(#[from] prost::DecodeError),
    /// Well-formed, but against the protocol.
    #[error("the batch breaks the protocol: {0}")]
    Protocol(&'static str),
}

/// A batch ready to be kept and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The boot all of it was seen in.
    pub boot: BootId,
    /// Lowest sequence number.
    pub first_seq: u64,
    /// Highest sequence number.
    pub last_seq: u64,
    /// How many activities.
    pub count: u32,
    /// Time of the earliest activity.
    pub from: Timestamp,
    /// Time of the latest activity.
    pub to: Timestamp,
    /// The zstd frame.
    pub payload: Bytes,
}

impl Encoded {
    /// The message that carries it.
    pub fn to_proto(&self) -> proto::Batch {
        proto::Batch {
            boot: boot_bytes(self.boot),
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            count: self.count,
            activities_zstd: self.payload.clone(),
        }
    }
}

/// A boot id as the wire has it.
pub(crate) fn boot_bytes(boot: BootId) -> Bytes {
    Bytes::copy_from_slice(&boot.as_u128().to_be_bytes())
}

/// A boot id from the wire.
pub(crate) fn boot_id(bytes: &[u8]) -> Result<BootId, CodecError> {
    let bytes = bytes.try_into().map_err(|_| CodecError::Protocol("a boot id has 16 bytes"))?;
    Ok(BootId::from_u128(u128::from_be_bytes(bytes)))
}

/// Encodes activities of one boot in order of `seq`.
///
/// # Errors
/// When there are none, too many, not in order, or the frame would exceed the bounds; halve the
/// batch then.
pub fn encode(events: &[Event]) -> Result<Encoded, CodecError> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Err(CodecError::Empty);
    };
    if events.len() > BATCH_EVENTS_MAX {
        return Err(CodecError::TooMany { found: events.len() });
    }
    let boot = first.id.boot;
    let mut message = proto::Activities::default();
    let mut processes: HashMap<*const Process, u32> = HashMap::new();
    let mut previous = None;
    for event in events {
        if event.id.boot != boot || previous.is_some_and(|seq| event.id.seq <= seq) {
            return Err(CodecError::Order { seq: event.id.seq });
        }
        previous = Some(event.id.seq);
        let process = *processes.entry(Arc::as_ptr(&event.process)).or_insert_with(|| {
            message.processes.push(proto::Fields { fields: fields(event, Process::SPECS) });
            u32::try_from(message.processes.len()).unwrap_or(0)
        });
        message.activities.push(activity(event, process));
    }
    let raw = message.encode_to_vec();
    check_size("decompressed", raw.len() as u64, BATCH_DECOMPRESSED_MAX)?;
    let payload = zstd::bulk::compress(&raw, ZSTD_LEVEL).map_err(CodecError::Zstd)?;
    check_size("compressed", payload.len() as u64, BATCH_COMPRESSED_MAX)?;
    let times = || events.iter().map(|event| event.time);
    Ok(Encoded {
        boot,
        first_seq: first.id.seq,
        last_seq: last.id.seq,
        count: u32::try_from(events.len()).unwrap_or(u32::MAX),
        from: times().min().unwrap_or_default(),
        to: times().max().unwrap_or_default(),
        payload: payload.into(),
    })
}

/// Reads a batch. The events' endpoint and tenant are unset: they are not the peer's to say.
///
/// # Errors
/// When it is over a bound, damaged, or against the protocol.
pub fn decode(batch: &proto::Batch) -> Result<(BootId, Vec<Event>), CodecError> {
    let boot = boot_id(&batch.boot)?;
    let compressed = &batch.activities_zstd;
    check_size("compressed", compressed.len() as u64, BATCH_COMPRESSED_MAX)?;
    let size = zstd::zstd_safe::get_frame_content_size(compressed)
        .ok()
        .flatten()
        .ok_or(CodecError::Protocol("the zstd frame does not state its size"))?;
    check_size("decompressed", size, BATCH_DECOMPRESSED_MAX)?;
    let capacity = usize::try_from(size).unwrap_or(BATCH_DECOMPRESSED_MAX);
    let raw = zstd::bulk::decompress(compressed, capacity).map_err(CodecError::Zstd)?;
    guard::check(&raw)?;
    let message = proto::Activities::decode(Bytes::from(raw))?;
    let events = events(boot, message)?;
    let ends = events.first().map(|e| e.id.seq).zip(events.last().map(|e| e.id.seq));
    if ends != Some((batch.first_seq, batch.last_seq)) || events.len() != batch.count as usize {
        return Err(CodecError::Protocol("the batch's head does not match its activities"));
    }
    Ok((boot, events))
}

/// What a batch holds, by kind: for one that is given up. What cannot be read is of no known kind.
#[must_use]
pub fn given_up(batch: &Encoded) -> GivenUp {
    let Ok((_, events)) = decode(&batch.to_proto()) else {
        return GivenUp::unknown(u64::from(batch.count));
    };
    let mut given_up = GivenUp::default();
    for event in &events {
        given_up.count(&event.activity);
    }
    given_up
}

fn events(boot: BootId, message: proto::Activities) -> Result<Vec<Event>, CodecError> {
    let processes: Vec<Arc<Process>> =
        message.processes.into_iter().map(process).collect::<Result<_, _>>()?;
    let mut previous = None;
    let mut events = Vec::with_capacity(message.activities.len());
    for activity in message.activities {
        let seq = activity.seq;
        if previous.is_some_and(|previous| seq <= previous) {
            return Err(CodecError::Order { seq });
        }
        previous = Some(seq);
        events.push(event(boot, activity, &processes)?);
    }
    Ok(events)
}

fn process(fields: proto::Fields) -> Result<Arc<Process>, CodecError> {
    let class = (meta::CLASS, Value::Text("process.exec".into()));
    let values = fields.fields.into_iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Event::from_fields(std::iter::once(class).chain(values))
        .map(|(event, _)| event.process)
        .ok_or(CodecError::Protocol("a process cannot be read"))
}

fn event(
    boot: BootId,
    activity: proto::Activity,
    processes: &[Arc<Process>],
) -> Result<Event, CodecError> {
    let class = (meta::CLASS, Value::Text(activity.class.as_str().into()));
    let values = activity.fields.into_iter().map(field).collect::<Result<Vec<_>, _>>()?;
    let (mut event, unknown) = Event::from_fields(std::iter::once(class).chain(values))
        .ok_or(CodecError::Protocol("an activity's class is not known"))?;
    event.id.boot = boot;
    event.id.seq = activity.seq;
    event.id.endpoint = metsuke_event::EndpointId::default();
    event.id.tenant = metsuke_event::TenantId::default();
    event.received = None;
    event.time = Timestamp::from_nanos(activity.time_ns);
    event.host = (!activity.host.is_empty()).then(|| activity.host.as_str().into());
    if let Some(index) = (activity.process as usize).checked_sub(1) {
        let process = processes.get(index);
        event.process = Arc::clone(process.ok_or(CodecError::Protocol("no such process"))?);
    }
    for named in activity.unmapped {
        event.unmapped.push(named.name.as_str(), value(named.value)?.as_ref());
    }
    // A newer sensor's fields are kept under their number rather than dropped.
    for (id, value) in unknown {
        event.unmapped.push(format!("field.{}", id.0).as_str(), value.as_ref());
    }
    Ok(event)
}

fn field(field: proto::Field) -> Result<(FieldId, Value), CodecError> {
    let id = u16::try_from(field.id)
        .map_err(|_| CodecError::Protocol("a field number is over 65535"))?;
    let id = FieldId(id);
    let is_meta = by_id(id).is_some_and(|spec| spec.group == metsuke_event::field::Group::Meta);
    if is_meta {
        return Err(CodecError::Protocol("an envelope field stands among the others"));
    }
    Ok((id, value(field.value)?))
}

fn value(value: Option<proto::Value>) -> Result<Value, CodecError> {
    use proto::value::Kind;
    let kind = value.and_then(|value| value.kind);
    Ok(match kind.ok_or(CodecError::Protocol("a field has no value"))? {
        Kind::Text(text) if text.len() > TEXT_MAX => {
            return Err(CodecError::Protocol("a text is longer than 32 KiB"));
        }
        Kind::Text(text) => Value::Text(text.into()),
        Kind::Number(number) => Value::U64(number),
        Kind::Signed(number) => Value::I64(number),
        Kind::Flag(flag) => Value::Bool(flag),
        Kind::TimeNs(nanos) => Value::Time(Timestamp::from_nanos(nanos)),
        Kind::Address(bytes) => Value::Ip(address(&bytes)?),
    })
}

fn address(bytes: &[u8]) -> Result<IpAddr, CodecError> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Ok(four.into());
    }
    <[u8; 16]>::try_from(bytes)
        .map(IpAddr::from)
        .map_err(|_| CodecError::Protocol("an address has 4 or 16 bytes"))
}

fn activity(event: &Event, process: u32) -> proto::Activity {
    let mut fields = fields(event, event.activity.specs().into_iter().flatten());
    fields.truncate(FIELDS_MAX);
    let room = FIELDS_MAX - fields.len();
    proto::Activity {
        seq: event.id.seq,
        time_ns: event.time.as_nanos(),
        class: event.activity.kind().name().to_owned(),
        process,
        fields,
        unmapped: event
            .unmapped
            .iter()
            .take(room)
            .map(|(name, value)| proto::NamedValue {
                name: cut(&name).to_owned(),
                value: Some(to_wire(value)),
            })
            .collect(),
        host: event.host.as_deref().map(cut).unwrap_or_default().to_owned(),
    }
}

fn fields(event: &Event, specs: impl IntoIterator<Item = &'static FieldSpec>) -> Vec<proto::Field> {
    specs
        .into_iter()
        .filter_map(|spec| {
            let value = to_wire(event.get(spec.id)?);
            Some(proto::Field { id: u32::from(spec.id.0), value: Some(value) })
        })
        .collect()
}

fn to_wire(value: metsuke_event::ValueRef<'_>) -> proto::Value {
    use metsuke_event::ValueRef;
    use proto::value::Kind;
    let kind = match value {
        ValueRef::Text(text) => Kind::Text(cut(text).to_owned()),
        ValueRef::U64(number) => Kind::Number(number),
        ValueRef::I64(number) => Kind::Signed(number),
        ValueRef::Bool(flag) => Kind::Flag(flag),
        ValueRef::Ip(IpAddr::V4(ip)) => Kind::Address(Bytes::copy_from_slice(&ip.octets())),
        ValueRef::Ip(IpAddr::V6(ip)) => Kind::Address(Bytes::copy_from_slice(&ip.octets())),
        ValueRef::Time(time) => Kind::TimeNs(time.as_nanos()),
    };
    proto::Value { kind: Some(kind) }
}

/// The text, cut at `TEXT_MAX` on a character's boundary.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

const fn check_size(what: &'static str, found: u64, max: usize) -> Result<(), CodecError> {
    if found > max as u64 { Err(CodecError::TooLarge { what, found, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
