//! Requests for evidence, as what a plan asks for. Bounds are the plan's own to check.

use metsuke_event::ProcessKey;
use metsuke_respond as respond;
use metsuke_respond::evidence::EVIDENCE_BYTES_DEFAULT;

use super::{DumpRegions, LiveListName, ResponseRequest, Verb};
use crate::problem::Problem;

/// The process that is named.
pub(super) fn process(request: &ResponseRequest) -> Result<ProcessKey, Problem> {
    request.process.as_deref().unwrap_or_default().parse().map_err(|_| {
        Problem::invalid("`process` is a process id BOOT-PID-TICKS, as the tree shows it")
    })
}

fn path(request: &ResponseRequest) -> Result<String, Problem> {
    request.path.clone().ok_or_else(|| Problem::invalid("`path` names the file, absolute"))
}

/// What is asked for.
pub(super) fn verb(request: &ResponseRequest) -> Result<respond::Verb, Problem> {
    let max_bytes = request.max_bytes.unwrap_or(EVIDENCE_BYTES_DEFAULT);
    Ok(match request.verb {
        Verb::Dump => {
            let regions = match request.regions.unwrap_or(DumpRegions::Anonymous) {
                DumpRegions::All => respond::Regions::All,
                DumpRegions::Anonymous => respond::Regions::Anonymous,
                DumpRegions::Executable => respond::Regions::Executable,
                DumpRegions::StackHeap => respond::Regions::StackHeap,
            };
            respond::Verb::Dump { target: process(request)?, regions, max_bytes }
        }
        Verb::Collect => respond::Verb::Collect { path: path(request)?, max_bytes },
        Verb::Scan => {
            let rules = request.rules.clone();
            let rules = rules.ok_or_else(|| Problem::invalid("`rules` is YARA source"))?;
            let what = match (&request.process, &request.path) {
                (Some(_), None) => respond::ScanTarget::Process { target: process(request)? },
                (None, Some(path)) => respond::ScanTarget::Path { path: path.clone() },
                _ => return Err(Problem::invalid("a scan has either `process` or `path`")),
            };
            respond::Verb::Scan { what, rules }
        }
        Verb::ListLive => {
            let what = match request.list {
                Some(LiveListName::Processes) => respond::LiveList::Processes,
                Some(LiveListName::Sockets) => respond::LiveList::Sockets,
                Some(LiveListName::Modules) => respond::LiveList::Modules,
                None => {
                    let why = "`list` is `processes`, `sockets` or `modules`";
                    return Err(Problem::invalid(why));
                }
            };
            respond::Verb::ListLive { what }
        }
        Verb::Crossview => respond::Verb::Crossview,
        Verb::Terminate | Verb::Poc | Verb::PocCleanup => {
            return Err(Problem::invalid("this verb takes no evidence"));
        }
    })
}
