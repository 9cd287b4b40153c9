//! A cross-view as an artifact.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use metsuke_evidence::ArtifactFile;
use metsuke_respond::{Artifact, ArtifactKind, Evidence};
use serde_json::Value;

use super::said;
use crate::crossview::Desk;

/// Largest report kept, in bytes; a report is bounded far below.
const REPORT_BYTES_MAX: u64 = 64 << 20;

/// How long a look may take; on a large host two passes take seconds.
const LONGEST: Duration = Duration::from_secs(300);

/// Has the sensor's own thread look, so that what is found is told as activities too, and writes the
/// report to a new file `to`.
pub(super) fn take(desk: &Desk, to: &Path) -> Result<(Evidence, Value), String> {
    let answer = desk.ask().ok_or("too many looks wait already; ask again in a minute")?;
    let report = answer
        .recv_timeout(LONGEST)
        .map_err(|_| "the look did not come to an end; the sensor's log says why".to_owned())?;
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
