//! The formats, and how they are told apart.

use crate::evtx;

/// A format of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Whatever it looks like: a file by its first bytes, lines of text each by itself.
    #[default]
    Auto,
    /// Any of the forms of JSON, one object a line.
    Jsonl,
    /// Windows event log.
    Evtx,
    /// Raw log of auditd.
    Auditd,
    /// Elastic Common Schema, one object a line.
    Ecs,
    /// OCSF, one object a line.
    Ocsf,
    /// The product's own: an object a line by the canonical names of the field table.
    Native,
}

impl Format {
    /// Whether a file that begins with `bytes` is read as EVTX.
    pub fn is_evtx(self, bytes: &[u8]) -> bool {
        match self {
            Self::Evtx => true,
            Self::Auto => bytes.starts_with(evtx::MAGIC),
            _ => false,
        }
    }
}
