//! What an endpoint allows. Detect-only is the default; nothing is blocked and no exercise runs
//! unless the policy says so.

use serde::{Deserialize, Serialize};

use crate::plan::{Plan, Verb};

/// Whether the sensor may act by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// See and report.
    #[default]
    Detect,
    /// Also deny and end by itself.
    Block,
}

/// Whether something may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// It may.
    Allow,
    /// It may not.
    Deny,
}

/// The policy of one endpoint, as the server signs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Grows with each change; a sensor refuses a smaller one than it holds.
    pub version: u64,
    /// Whether the sensor acts by itself.
    pub mode: Mode,
    /// Whether an analyst may terminate processes.
    pub terminate: Permission,
    /// Whether the proof-of-coverage exercise may run.
    pub poc: Permission,
    /// Whether an analyst may take memory, files and lists.
    #[serde(default = "allow")]
    pub evidence: Permission,
}

/// What policies that were written before there was evidence mean.
const fn allow() -> Permission {
    Permission::Allow
}

impl Default for Policy {
    /// Version 0: detect; an analyst may terminate and run the exercise. (Both act only within
    /// the sensor's scope.)
    fn default() -> Self {
        Self {
            version: 0,
            mode: Mode::Detect,
            terminate: Permission::Allow,
            poc: Permission::Allow,
            evidence: Permission::Allow,
        }
    }
}

impl Policy {
    /// Whether this policy lets `plan` be carried out; otherwise why not.
    ///
    /// # Errors
    /// A sentence for people that names the setting.
    pub fn permits(&self, plan: &Plan) -> Result<(), String> {
        let (permission, setting) = match plan.verb {
            Verb::Terminate { .. } => (self.terminate, "terminate"),
            Verb::Poc { .. } | Verb::PocCleanup { .. } => (self.poc, "poc"),
            Verb::Dump { .. }
            | Verb::Collect { .. }
            | Verb::Scan { .. }
            | Verb::ListLive { .. }
            | Verb::Crossview => (self.evidence, "evidence"),
        };
        match permission {
            Permission::Allow => Ok(()),
            Permission::Deny => Err(format!(
                "policy {} of this endpoint denies `{setting}`; change the policy or leave this \
                 endpoint out",
                self.version
            )),
        }
    }
}
