//! Every bound on what the other side controls, each with its reason.

use std::time::Duration;

/// Version of the protocol; another one is refused at Hello.
pub const PROTOCOL: u32 = 1;

/// Most activities in one batch: what a sensor collects in a burst within one flush.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// Largest compressed batch, in bytes.
pub const BATCH_COMPRESSED_MAX: usize = 4 << 20;
/// Largest batch once decompressed, in bytes: bounds what a small frame can make the server hold.
pub const BATCH_DECOMPRESSED_MAX: usize = 16 << 20;
/// Longest text of one field, in bytes. The longest of the field table is a command line of 4,096;
/// imported logs are longer.
pub const TEXT_MAX: usize = 32 << 10;
/// Most fields of one activity, table and unmapped together.
pub const FIELDS_MAX: usize = 512;

/// Largest gRPC message, either way: a full batch, or a content bundle, with room for framing.
pub const MESSAGE_MAX: usize = (16 << 20) + (64 << 10);
/// Largest content bundle compressed, in bytes.
pub const BUNDLE_COMPRESSED_MAX: usize = 16 << 20;
/// Largest content bundle decompressed, in bytes.
pub const BUNDLE_DECOMPRESSED_MAX: usize = 64 << 20;
/// Most documents in one content bundle.
pub const BUNDLE_DOCUMENTS_MAX: usize = 50_000;
/// Largest part of a pack of indicators, in bytes: small beside a batch, so that acknowledgements never
/// wait long behind one.
pub const INDICATOR_PART_MAX: usize = 256 << 10;
/// Most parts of one pack: 24 MiB, a filter of eleven million.
pub const INDICATOR_PARTS_MAX: u32 = 96;
/// Largest coverage report, in bytes.
pub const COVERAGE_MAX: usize = 256 << 10;
/// Largest plan, in bytes.
pub const PLAN_MAX: usize = 256 << 10;
/// Longest host name, version, kernel and similar fact, in bytes.
pub const FACT_MAX: usize = 1_024;
/// Most addresses and degraded reasons a sensor may report.
pub const LIST_MAX: usize = 64;

/// Most items, new and gone together, in one inventory message: about 300 kB of JSON.
pub const INVENTORY_ITEMS_MAX: usize = 2_000;
/// Largest inventory message compressed, in bytes: as it is decompressed, for whoever names files can
/// name them so that nothing compresses them.
pub const INVENTORY_COMPRESSED_MAX: usize = 4 << 20;
/// Largest inventory message decompressed, in bytes: bounds what a small frame can make the server
/// hold.
pub const INVENTORY_DECOMPRESSED_MAX: usize = 4 << 20;
/// Longest text of an inventory item, in bytes: a path of 4,096 whose every byte was written as
/// `\xff` because it was no UTF-8. A shorter bound would let whoever names a file stop the rest.
pub const INVENTORY_TEXT_MAX: usize = 4 * 4_096 + 256;

/// Largest inventory item, in bytes of JSON: a path of 4,096 with its package, or an account in a
/// thousand groups. It bounds what the server keeps of one.
pub const INVENTORY_ITEM_MAX: usize = 64 << 10;

/// Batches a sensor sends ahead of their acknowledgement.
pub const WINDOW_BATCHES: usize = 64;
/// Bytes a sensor sends ahead of their acknowledgement.
pub const WINDOW_BYTES: usize = 8 << 20;
/// Messages waiting to go down to one sensor; more than that and the sender waits.
pub const DOWNSTREAM_QUEUE: usize = 64;

/// Largest enrolment request, in bytes: a token, a certificate request and four facts take some
/// kilobytes, and the peer is still a stranger.
pub const ENROL_MAX: usize = 64 << 10;
/// Most streams open at once on one connection. A sensor needs one: its session, or its enrolment;
/// the others are for a session that is just being closed. With `CONNECTIONS_MAX` it bounds what
/// strangers can make the server hold.
pub const STREAMS_MAX: u32 = 4;
/// Most calls of one connection that wait for their answer at once; an open session is answered.
pub const CALLS_MAX: usize = 2;

/// Most connections the server holds at once, enrolments and sessions together.
pub const CONNECTIONS_MAX: usize = 16_384;
/// A peer that has not finished its TLS handshake by then is cut off.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// A session whose peer has said nothing for so long is closed (heartbeats come far more often).
pub const SILENCE_MAX: Duration = Duration::from_secs(90);
/// How often a sensor sends a heartbeat unless told otherwise.
pub const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(5);

/// Largest chunk of an artifact, in bytes: small beside a batch, so that activities never wait long
/// behind one.
pub const ARTIFACT_CHUNK_MAX: usize = 256 << 10;
/// Largest artifact, in bytes; a plan allows less.
pub const ARTIFACT_MAX: u64 = 2 << 30;
/// Longest description of an artifact, in bytes of JSON.
pub const ARTIFACT_META_MAX: usize = 64 << 10;
/// Longest name of an artifact, in bytes: a path.
pub const ARTIFACT_NAME_MAX: usize = 4 << 10;
/// Bytes of artifacts a sensor sends in a second: a share of what a slow line carries.
pub const ARTIFACT_BYTES_PER_S: u64 = 4 << 20;
/// How long a sensor waits before it offers again what was not taken now.
pub const ARTIFACT_RETRY: Duration = Duration::from_secs(60);
