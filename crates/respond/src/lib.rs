#![doc = include_str!("../README.md")]

pub mod evidence;
pub mod outcome;
pub mod plan;
pub mod policy;
pub mod state;

pub use evidence::{Artifact, ArtifactKind, Evidence, LiveList, Regions, ScanTarget};
pub use outcome::{Ended, Outcome, PocTruth, Spared};
pub use plan::{Applied, Draft, PLAN_TTL_DEFAULT_S, Plan, PlanError, Scope, Update, Verb};
pub use policy::{Mode, Permission, Policy};
pub use state::{State, TransitionError};

pub use metsuke_event::id::PlanId;
