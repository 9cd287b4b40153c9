//! What goes out, one JSON object a line.

use serde::Serialize;

/// One line.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Line<'a> {
    /// What became of the rules.
    Rules {
        /// How many are used.
        compiled: usize,
        /// Those that are not.
        refused: &'a [Refused],
    },
    /// A rule matched a target.
    Match {
        /// The target.
        target: &'a str,
        /// The rule.
        rule: &'a str,
        /// Its tags.
        tags: Vec<&'a str>,
        /// Where its patterns matched, at most some of each.
        strings: Vec<Found>,
        /// How often they matched in all, up to the scanner's bound.
        count: usize,
    },
    /// A target is done.
    Target {
        /// The target.
        target: &'a str,
        /// Bytes looked at.
        bytes: u64,
        /// Rules that matched.
        matches: usize,
        /// Why it was not looked at whole.
        #[serde(skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// Everything is done.
    End {
        /// CPU time used, in milliseconds.
        cpu_ms: u64,
        /// The most memory it had resident, in bytes.
        peak_bytes: u64,
    },
}

/// A rule that is not used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Refused {
    /// Its name; empty when the error stands outside of every rule.
    pub(crate) rule: String,
    /// The compiler's code.
    pub(crate) code: String,
    /// The compiler's reason.
    pub(crate) why: String,
}

/// One match of a pattern.
#[derive(Debug, Serialize)]
pub(crate) struct Found {
    /// The pattern's name.
    pub(crate) id: String,
    /// Offset in the file, or address in memory.
    pub(crate) offset: u64,
    /// Length in bytes.
    pub(crate) length: u64,
    /// The first bytes, in hexadecimal.
    pub(crate) data: String,
}
