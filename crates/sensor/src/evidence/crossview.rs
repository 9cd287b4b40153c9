//! A cross-view as an artifact.

use std::io::Write;
use std::path::Path;

use metsuke_crossview::{Config, Scope};
use metsuke_evidence::{ArtifactFile, Reach};
use metsuke_respond::{Artifact, ArtifactKind, Evidence};
use serde_json::Value;

use super::said;

/// Largest report kept, in bytes; a report is bounded far below.
const REPORT_BYTES_MAX: u64 = 64 << 20;

/// Looks, and writes the report to a new file `to`.
pub(super) fn take(reach: &Reach, to: &Path) -> Result<(Evidence, Value), String> {
    let scope = match reach.scope.directory() {
        Some(group) => Scope::Cgroup(group.to_owned()),
        None => Scope::Host,
    };
    let report = metsuke_crossview::run(&Config::new(scope)).map_err(|error| said(&error))?;
    let mut file = ArtifactFile::create(to, REPORT_BYTES_MAX).map_err(|error| said(&error))?;
    let text = serde_json::to_vec(&report).map_err(|error| said(&error))?;
    file.write_all(&text).map_err(|error| said(&error))?;
    let written = file.finish().map_err(|error| said(&error))?;
    let mut evidence = Evidence::new(Artifact {
        kind: ArtifactKind::Crossview,
        name: report.scope.clone(),
        size: written.size,
        sha256: written.sha256,
    });
    for found in &report.discrepancies {
        evidence.find(&found.technique, &found.subject, 1);
    }
    evidence.found_total += report.left_out;
    for lost in report.lost_views() {
        evidence.miss(&lost);
    }
    Ok((evidence, serde_json::json!({ "views": report.views.len() })))
}
