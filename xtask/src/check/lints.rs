//! Clippy over the whole workspace, as part of the one build.
//!
//! Every build goes through clippy's driver (`build`), so this is the tests' build with its
//! warnings read as data: nothing is compiled a second time, and a warning is a failure here.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::{build, steps};

/// Warnings shown; all are in the log.
const SHOWN: usize = 40;

/// Builds everything and fails when the compiler or clippy has something to say.
pub(super) fn check() -> Result<()> {
    let mut said = BTreeSet::new();
    let mut command = build::cargo("test");
    command
        .args(["--no-run", "--workspace", "--all-targets", "--message-format", "json"])
        .args(build::locked());
    let (status, log, _) = steps::follow("clippy", &mut command, |line| {
        if let Some(text) = diagnostic(line) {
            said.insert(text);
        }
    })?;
    for text in said.iter().take(SHOWN) {
        eprintln!("{text}");
    }
    if !said.is_empty() || !status.success() {
        bail!("{} warnings or errors; the whole output is in {}", said.len(), log.display());
    }
    Ok(())
}

/// The rendered text of a warning or error in one line of cargo's JSON.
fn diagnostic(line: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(line).ok()?;
    if json.get("reason")? != "compiler-message" {
        return None;
    }
    let message = json.get("message")?;
    let level = message.get("level")?.as_str()?;
    let rendered = message.get("rendered")?.as_str()?.trim_end();
    // The closing line `N warnings emitted` has no place and says nothing new.
    let placed = message.get("spans")?.as_array().is_some_and(|spans| !spans.is_empty());
    (matches!(level, "warning" | "error") && placed || level.starts_with("error: internal"))
        .then(|| rendered.to_owned())
}

#[cfg(test)]
mod tests {
    use super::diagnostic;

    #[test]
    fn warnings_are_told_from_the_rest() {
        let warning = r#"{"reason":"compiler-message","message":{"level":"warning","rendered":"warning: unused\n","spans":[{}]}}"#;
        assert_eq!(diagnostic(warning).as_deref(), Some("warning: unused"));
        let summary = r#"{"reason":"compiler-message","message":{"level":"warning","rendered":"warning: 1 warning emitted","spans":[]}}"#;
        assert_eq!(diagnostic(summary), None);
        assert_eq!(diagnostic(r#"{"reason":"compiler-artifact"}"#), None);
        assert_eq!(diagnostic("   Compiling x"), None);
    }
}
