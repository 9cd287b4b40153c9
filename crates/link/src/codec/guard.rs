//! Counts what a decompressed batch holds before it is decoded. An empty sub-message is two bytes
//! on the wire and over a hundred in memory; without this 16 MiB could become a gigabyte.

use prost::bytes::Buf;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::CodecError;
use crate::limits::{BATCH_EVENTS_MAX, FIELDS_MAX};

/// Most fields in one batch, over all its activities and processes: 64 each on average.
const FIELDS_TOTAL_MAX: usize = 64 * BATCH_EVENTS_MAX;
/// Tags of `Activities`.
const PROCESSES: u32 = 1;
const ACTIVITIES: u32 = 2;

/// Refuses a frame with more sub-messages than the limits allow.
pub(super) fn check(mut raw: &[u8]) -> Result<(), CodecError> {
    let (mut processes, mut activities, mut total) = (0, 0, 0);
    while raw.has_remaining() {
        let (tag, wire) = decode_key(&mut raw)?;
        match (tag, wire) {
            (PROCESSES, WireType::LengthDelimited) => processes += 1,
            (ACTIVITIES, WireType::LengthDelimited) => activities += 1,
            _ => {
                skip_field(wire, tag, &mut raw, DecodeContext::default())?;
                continue;
            }
        }
        let found = usize::max(processes, activities);
        if found > BATCH_EVENTS_MAX {
            return Err(CodecError::TooMany { found });
        }
        let fields = sub_messages(take(&mut raw)?)?;
        total += fields;
        if fields > FIELDS_MAX || total > FIELDS_TOTAL_MAX {
            return Err(CodecError::Protocol("an activity or a batch has too many fields"));
        }
    }
    Ok(())
}

fn sub_messages(mut raw: &[u8]) -> Result<usize, CodecError> {
    let mut count = 0;
    while raw.has_remaining() {
        let (tag, wire) = decode_key(&mut raw)?;
        if wire == WireType::LengthDelimited {
            take(&mut raw)?;
            count += 1;
        } else {
            skip_field(wire, tag, &mut raw, DecodeContext::default())?;
        }
    }
    Ok(count)
}

/// Takes one length-delimited value off the front.
fn take<'a>(raw: &mut &'a [u8]) -> Result<&'a [u8], CodecError> {
    let length = decode_varint(raw)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (head, rest) =
        raw.split_at_checked(length).ok_or(CodecError::Protocol("a length points past the end"))?;
    *raw = rest;
    Ok(head)
}
