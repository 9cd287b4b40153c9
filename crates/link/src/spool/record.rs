//! One record: a fixed head, then the batch's zstd frame. Little-endian; `docs/spec/spool.md`.

use bytes::Bytes;
use metsuke_event::{BootId, Timestamp};

use crate::codec::Encoded;
use crate::limits::BATCH_COMPRESSED_MAX;

/// `MSR1`: a record of version 1.
const MAGIC: [u8; 4] = *b"MSR1";
/// Magic 4, payload length 4, boot 16, first and last seq 8 + 8, count 4, from and to 8 + 8,
/// checksum 4 over all of this before it and the payload.
pub(super) const HEAD_BYTES: usize = 64;
const CHECKSUM_AT: usize = 60;

/// The head of a record.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) payload: usize,
    pub(super) batch: Encoded,
    checksum: u32,
    covered: [u8; CHECKSUM_AT],
}

/// The record's bytes; `None` when its payload is larger than `read_head` believes.
pub(super) fn write(batch: &Encoded) -> Option<Vec<u8>> {
    if batch.payload.len() > BATCH_COMPRESSED_MAX {
        return None;
    }
    let mut record = Vec::with_capacity(HEAD_BYTES + batch.payload.len());
    let length = u32::try_from(batch.payload.len()).ok()?;
    record.extend_from_slice(&MAGIC);
    record.extend_from_slice(&length.to_le_bytes());
    record.extend_from_slice(&batch.boot.as_u128().to_be_bytes());
    record.extend_from_slice(&batch.first_seq.to_le_bytes());
    record.extend_from_slice(&batch.last_seq.to_le_bytes());
    record.extend_from_slice(&batch.count.to_le_bytes());
    record.extend_from_slice(&batch.from.as_nanos().to_le_bytes());
    record.extend_from_slice(&batch.to.as_nanos().to_le_bytes());
    let checksum = checksum(&record, &batch.payload);
    record.extend_from_slice(&checksum.to_le_bytes());
    record.extend_from_slice(&batch.payload);
    Some(record)
}

/// Reads a head; `None` when it is none. Its payload is not part of it yet.
pub(super) fn read_head(bytes: &[u8; HEAD_BYTES]) -> Option<Head> {
    let (magic, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (boot, rest) = rest.split_first_chunk::<16>()?;
    let (first, rest) = rest.split_first_chunk::<8>()?;
    let (last, rest) = rest.split_first_chunk::<8>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (from, rest) = rest.split_first_chunk::<8>()?;
    let (to, rest) = rest.split_first_chunk::<8>()?;
    let (checksum, _) = rest.split_first_chunk::<4>()?;
    let payload = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    if *magic != MAGIC || payload > BATCH_COMPRESSED_MAX {
        return None;
    }
    Some(Head {
        payload,
        batch: Encoded {
            boot: BootId::from_u128(u128::from_be_bytes(*boot)),
            first_seq: u64::from_le_bytes(*first),
            last_seq: u64::from_le_bytes(*last),
            count: u32::from_le_bytes(*count),
            from: Timestamp::from_nanos(i64::from_le_bytes(*from)),
            to: Timestamp::from_nanos(i64::from_le_bytes(*to)),
            payload: Bytes::new(),
        },
        checksum: u32::from_le_bytes(*checksum),
        covered: *bytes.first_chunk()?,
    })
}

impl Head {
    /// The batch, when `payload` is what was written.
    pub(super) fn complete(self, payload: Vec<u8>) -> Option<Encoded> {
        (checksum(&self.covered, &payload) == self.checksum)
            .then(|| Encoded { payload: payload.into(), ..self.batch })
    }
}

fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}
