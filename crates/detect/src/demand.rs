//! What a detection asks for beside its match: telemetry it needs, and responses it calls for.
//!
//! ```yaml
//! needs: [process.exec, file.create]     # kinds of activity, all of them
//! responses:
//!   detect: [collect]                    # called for where a host is only watched
//!   block: [terminate, quarantine]       # and where it may act; beside those of `detect`
//! ```

use metsuke_event::Kind;

use crate::document::{Reason, Refusal};
use crate::yaml::{Node, cut};

/// What a detection may call for. The words are those of the glossary; nothing is done here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Response {
    /// End the process, or what it started.
    Terminate,
    /// Stop the process without ending it.
    Suspend,
    /// Take the file out of reach.
    Quarantine,
    /// Cut the host off but for the server.
    Isolate,
    /// Deny a value: an address, a domain, a hash.
    Block,
    /// Fetch files.
    Collect,
    /// Fetch memory.
    Dump,
    /// Look through files or memory.
    Scan,
}

impl Response {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Terminate,
        Self::Suspend,
        Self::Quarantine,
        Self::Isolate,
        Self::Block,
        Self::Collect,
        Self::Dump,
        Self::Scan,
    ];

    /// Its name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "terminate",
            Self::Suspend => "suspend",
            Self::Quarantine => "quarantine",
            Self::Isolate => "isolate",
            Self::Block => "block",
            Self::Collect => "collect",
            Self::Dump => "dump",
            Self::Scan => "scan",
        }
    }

    /// Whether it changes the host: only mode `block` may call for it.
    pub const fn changes_the_host(self) -> bool {
        !matches!(self, Self::Collect | Self::Dump | Self::Scan)
    }
}

/// What a detection calls for, by mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Responses {
    /// Where the host is only watched: nothing that changes it.
    pub detect: Vec<Response>,
    /// Where the sensor may act, beside those of `detect`.
    pub block: Vec<Response>,
}

/// Reads `needs`: kinds of activity by their names.
pub(crate) fn needs(node: &Node) -> Result<Vec<Kind>, Refusal> {
    let Some(written) = node.get("needs") else { return Ok(Vec::new()) };
    let mut kinds = Vec::new();
    for item in written.items() {
        let name = item.text().unwrap_or_default();
        let unknown = || item.refuse(Reason::UnknownKey(cut(name)));
        let kind = Kind::from_name(name).ok_or_else(unknown)?;
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    Ok(kinds)
}

/// Reads `responses`.
pub(crate) fn responses(node: &Node) -> Result<Responses, Refusal> {
    let mut found = Responses::default();
    let Some(written) = node.get("responses") else { return Ok(found) };
    let modes = written.mapping("responses").map_err(|reason| written.refuse(reason))?;
    for (mode, names) in modes {
        let list = match mode.as_str() {
            "detect" => &mut found.detect,
            "block" => &mut found.block,
            other => return Err(names.refuse_key(Reason::UnknownKey(cut(other)), 0)),
        };
        for item in names.items() {
            let name = item.text().unwrap_or_default();
            let response = Response::ALL.into_iter().find(|response| response.name() == name);
            let response = response.ok_or_else(|| item.refuse(Reason::UnknownKey(cut(name))))?;
            if mode == "detect" && response.changes_the_host() {
                let expected = "of collect, dump and scan: the others change the host, write them \
                                under block";
                let field = "responses.detect".to_owned();
                return Err(item.refuse(Reason::WrongType { field, expected }));
            }
            if !list.contains(&response) {
                list.push(response);
            }
        }
    }
    Ok(found)
}
