//! Every bound on what a file can make the readers hold or do, with its reason.

/// Bytes of one line of text. Lines of Windows events hold whole script blocks; the largest of the
/// public recordings has some 200 kB.
pub const LINE_BYTES: usize = 4 * 1024 * 1024;
/// Nesting of a JSON object that is flattened; deeper parts are kept as JSON text.
pub const JSON_DEPTH: usize = 12;
/// Fields of one record; what is beyond is left out, and said.
pub const FIELDS: usize = 2_048;
/// Bytes of one text value; the engine looks at 65,536 of them.
pub const TEXT_BYTES: usize = 256 * 1024;
/// Bytes that one EVTX record may unfold to: a record has at most 64 kB, and a template may use
/// the same value often.
pub const UNFOLDED_BYTES: usize = 1024 * 1024;
/// Steps that one EVTX record may take to unfold, for the same reason.
pub const UNFOLDED_STEPS: usize = 200_000;
/// Nesting of binary XML; event schemas have less than ten levels.
pub const XML_DEPTH: usize = 32;
/// Bytes of template definitions compiled per chunk. A chunk has 64 kB, and definitions do not
/// overlap; hostile ones could.
pub const TEMPLATE_BYTES: usize = 4 * 65_536;
/// Names kept for use again over files.
pub const NAMES: usize = 16_384;
/// Classes of Windows events (channel and event id) kept for use again.
pub const CLASSES: usize = 4_096;
/// Audit events that are open at once: auditd interleaves those of several CPUs.
pub const OPEN_AUDIT_EVENTS: usize = 64;
/// Records of one audit event; an exec with many PATH records has some dozens.
pub const AUDIT_RECORDS: usize = 512;
/// Lines after which an open audit event is taken to be whole.
pub const AUDIT_LINES: u64 = 512;
/// Bytes of the command line of a process, as the field table says.
pub const COMMAND_LINE_BYTES: usize = 4_096;
/// Bytes of a script, as the field table says.
pub const SCRIPT_BYTES: usize = 16_384;
