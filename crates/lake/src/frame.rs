//! Frames of a write-ahead segment: `docs/spec/lake.md`, "Segment".
//!
//! Pure: bytes in, bytes out. What does not fit its checksum is passed over and reported, never
//! guessed at.

use std::io::Cursor;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use metsuke_event::field::meta;

use crate::schema::{conform, index_of, schema};

/// Bytes of a frame's header.
pub(crate) const HEADER: usize = 64;
const MAGIC: [u8; 4] = *b"MTKF";
const VERSION: u8 = 1;
/// Longest payload, before and after compression: a reader never allocates more for one frame.
pub(crate) const MAX_PAYLOAD: usize = 64 << 20;
/// zstd's fastest ordinary level: the writer waits for it.
const ZSTD_LEVEL: i32 = 1;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Schema = 1,
    Batch = 2,
    End = 3,
}

/// A frame's header, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) length: u32,
    pub(crate) raw_length: u32,
    pub(crate) rows: u32,
    pub(crate) payload_crc: u32,
    pub(crate) segment: u64,
    pub(crate) index: u64,
    pub(crate) min_time: i64,
    pub(crate) max_time: i64,
    pub(crate) schema_crc: u32,
}

impl Header {
    fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[4] = VERSION;
        bytes[5] = self.kind as u8;
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.raw_length.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.rows.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.segment.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.index.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.min_time.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.max_time.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.schema_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEADER] = bytes.get(..HEADER)?.try_into().ok()?;
        let u32_at = |at: usize| -> Option<u32> {
            Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        };
        let u64_at = |at: usize| -> Option<u64> {
            Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
        };
        if bytes[..4] != MAGIC
            || bytes[4] != VERSION
            || u32_at(60)? != crc32fast::hash(&bytes[..60])
        {
            return None;
        }
        let kind = match bytes[5] {
            1 => Kind::Schema,
            2 => Kind::Batch,
            3 => Kind::End,
            _ => return None,
        };
        Some(Self {
            kind,
            length: u32_at(8)?,
            raw_length: u32_at(12)?,
            rows: u32_at(16)?,
            payload_crc: u32_at(20)?,
            segment: u64_at(24)?,
            index: u64_at(32)?,
            min_time: u64_at(40)?.cast_signed(),
            max_time: u64_at(48)?.cast_signed(),
            schema_crc: u32_at(56)?,
        })
    }
}

/// A batch ready to be written; only its place in a segment is missing.
pub(crate) struct Prepared {
    pub(crate) batch: RecordBatch,
    header: Header,
    payload: Vec<u8>,
}

impl Prepared {
    /// Bytes it takes in a segment.
    pub(crate) fn len(&self) -> usize {
        HEADER + self.payload.len()
    }

    /// The frame, as frame `index` of `segment`.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>, segment: u64, index: u64) {
        out.extend_from_slice(&Header { segment, index, ..self.header }.bytes());
        out.extend_from_slice(&self.payload);
    }
}

/// Schema message, and the batch's message behind it.
fn ipc(batch: &RecordBatch) -> Result<(Vec<u8>, usize), ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    let schema_length = writer.get_ref().len();
    if batch.num_rows() > 0 {
        writer.write(batch)?;
    }
    let bytes = std::mem::take(writer.get_mut());
    Ok((bytes, schema_length))
}

fn compressed(
    kind: Kind,
    raw: &[u8],
    rows: usize,
    times: (i64, i64),
    schema_crc: u32,
) -> Result<(Header, Vec<u8>), ArrowError> {
    let payload = zstd::bulk::compress(raw, ZSTD_LEVEL)
        .map_err(|error| ArrowError::IpcError(format!("compression: {error}")))?;
    let too_long = |_| ArrowError::IpcError("a batch of more than 4 GiB".to_owned());
    if raw.len().max(payload.len()) > MAX_PAYLOAD {
        return Err(ArrowError::IpcError(format!("a batch of more than {MAX_PAYLOAD} bytes")));
    }
    let header = Header {
        kind,
        length: u32::try_from(payload.len()).map_err(too_long)?,
        raw_length: u32::try_from(raw.len()).map_err(too_long)?,
        rows: u32::try_from(rows).map_err(too_long)?,
        payload_crc: crc32fast::hash(&payload),
        segment: 0,
        index: 0,
        min_time: times.0,
        max_time: times.1,
        schema_crc,
    };
    Ok((header, payload))
}

/// The smallest and greatest event time of a batch.
pub(crate) fn time_bounds(batch: &RecordBatch) -> (i64, i64) {
    let times = index_of(meta::TIME)
        .and_then(|index| batch.columns().get(index))
        .and_then(|column| column.as_primitive_opt::<Int64Type>());
    let Some(times) = times else { return (0, 0) };
    let low = arrow::compute::min(times).unwrap_or(0);
    (low, arrow::compute::max(times).unwrap_or(low))
}

/// Makes `batch` ready to be written.
pub(crate) fn prepare(batch: RecordBatch) -> Result<Prepared, ArrowError> {
    let (bytes, schema_length) = ipc(&batch)?;
    let schema_crc = crc32fast::hash(&bytes[..schema_length]);
    let (header, payload) = compressed(
        Kind::Batch,
        &bytes[schema_length..],
        batch.num_rows(),
        time_bounds(&batch),
        schema_crc,
    )?;
    Ok(Prepared { batch, header, payload })
}

/// The schema frame every segment begins with.
pub(crate) fn schema_frame(segment: u64) -> Result<Vec<u8>, ArrowError> {
    let (bytes, _) = ipc(&RecordBatch::new_empty(schema()))?;
    let crc = crc32fast::hash(&bytes);
    let (header, payload) = compressed(Kind::Schema, &bytes, 0, (0, 0), crc)?;
    let mut frame = Header { segment, ..header }.bytes().to_vec();
    frame.extend_from_slice(&payload);
    Ok(frame)
}

/// The frame that ends a finished segment.
pub(crate) fn end_frame(segment: u64, index: u64) -> Vec<u8> {
    let header = Header {
        kind: Kind::End,
        length: 0,
        raw_length: 0,
        rows: 0,
        payload_crc: crc32fast::hash(&[]),
        segment,
        index,
        min_time: 0,
        max_time: 0,
        schema_crc: 0,
    };
    header.bytes().to_vec()
}

/// A stretch of a segment that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Times of what it held, as far as known.
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
    /// Rows it held, when known.
    pub(crate) rows: Option<u64>,
    /// Whether the segment just ends there.
    pub(crate) torn: bool,
}

/// What a segment holds.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    pub(crate) batches: Vec<RecordBatch>,
    pub(crate) damage: Vec<Damage>,
}

/// Reads segment `number`; never fails, damage is data.
pub(crate) fn read_segment(bytes: &[u8], number: u64) -> Segment {
    let mut segment = Segment::default();
    let mut reader = Reader { schema: None, expected: 0, last_time: None };
    let mut at = 0;
    while at < bytes.len() {
        match reader.frame(&bytes[at..], number) {
            Frame::Whole { length, batch, missing } => {
                segment.damage.extend(missing);
                segment.batches.extend(batch);
                at += length;
            }
            Frame::Broken(mut damage) => {
                damage.from = damage.from.or(reader.last_time);
                let Some((ahead, header)) = resume(&bytes[at + 1..], number) else {
                    segment.damage.push(damage);
                    return segment;
                };
                damage.torn = false;
                damage.to = damage.to.or((header.kind == Kind::Batch).then_some(header.max_time));
                reader.expected = header.index;
                segment.damage.push(damage);
                at += 1 + ahead;
            }
        }
    }
    segment
}

struct Reader {
    schema: Option<(u32, Vec<u8>)>,
    expected: u64,
    last_time: Option<i64>,
}

enum Frame {
    Whole { length: usize, batch: Option<RecordBatch>, missing: Option<Damage> },
    Broken(Damage),
}

impl Reader {
    fn frame(&mut self, bytes: &[u8], number: u64) -> Frame {
        let unknown = Damage { from: None, to: None, rows: None, torn: bytes.len() < HEADER };
        let Some(header) = Header::read(bytes).filter(|header| header.segment == number) else {
            return Frame::Broken(unknown);
        };
        let known = (header.kind == Kind::Batch).then_some(header);
        let broken = Damage {
            from: known.map(|header| header.min_time),
            to: known.map(|header| header.max_time),
            rows: known.map(|header| u64::from(header.rows)),
            torn: false,
        };
        let length = HEADER + header.length as usize;
        let Some(payload) = bytes.get(HEADER..length) else {
            return Frame::Broken(Damage { torn: true, ..broken });
        };
        if crc32fast::hash(payload) != header.payload_crc {
            return Frame::Broken(broken);
        }
        let missing = (header.index > self.expected).then_some(Damage {
            from: self.last_time,
            to: known.map(|header| header.max_time),
            rows: None,
            torn: false,
        });
        let Ok(batch) = self.content(&header, payload) else { return Frame::Broken(broken) };
        self.expected = header.index + 1;
        if header.kind == Kind::Batch {
            self.last_time = Some(header.max_time);
        }
        Frame::Whole { length, batch, missing }
    }

    fn content(
        &mut self,
        header: &Header,
        payload: &[u8],
    ) -> Result<Option<RecordBatch>, ArrowError> {
        if header.kind == Kind::End {
            return Ok(None);
        }
        let raw = unzip(payload, header.raw_length as usize)?;
        if header.kind == Kind::Schema {
            self.schema = Some((header.schema_crc, raw));
            return Ok(None);
        }
        // A damaged schema frame need not cost the batches when they are in today's schema.
        let schema_bytes = match &self.schema {
            Some((crc, bytes)) if *crc == header.schema_crc => bytes.clone(),
            _ => ipc(&RecordBatch::new_empty(schema()))?.0,
        };
        if crc32fast::hash(&schema_bytes) != header.schema_crc {
            return Err(ArrowError::IpcError("the schema of this batch is lost".to_owned()));
        }
        let stream = [schema_bytes, raw].concat();
        let mut reader = StreamReader::try_new(Cursor::new(stream), None)?;
        let batch = reader
            .next()
            .ok_or_else(|| ArrowError::IpcError("a batch frame without a batch".to_owned()))??;
        conform(&batch).map(Some)
    }
}

fn unzip(payload: &[u8], raw_length: usize) -> Result<Vec<u8>, ArrowError> {
    if raw_length > MAX_PAYLOAD {
        return Err(ArrowError::IpcError("a payload above the bound".to_owned()));
    }
    zstd::bulk::decompress(payload, raw_length)
        .map_err(|error| ArrowError::IpcError(format!("decompression: {error}")))
}

/// The next place where a whole header of this segment stands.
fn resume(bytes: &[u8], number: u64) -> Option<(usize, Header)> {
    memchr::memmem::find_iter(bytes, &MAGIC).find_map(|at| {
        let header = Header::read(&bytes[at..]).filter(|header| header.segment == number)?;
        Some((at, header))
    })
}
