#![doc = include_str!("../README.md")]

mod artifacts;
mod checkpoint;
mod detector;
mod handler;
mod intake;
mod lull;
mod metrics;
mod names;
mod recordings;
mod refusal;
mod replay;
mod sighted;
mod store;

pub use artifacts::{ArtifactFolder, PruneError};
pub use detector::{Detector, DetectorError};
pub use handler::SensorHandler;
pub use intake::{Intake, IntakeError};
pub use lull::Ticks;
pub use metrics::{DetectionCost, Metrics};
pub use recordings::{Engines, Pace, RecordingError, Recordings, Slice, Taken};
pub use refusal::{Refusal, Refusals};
pub use replay::replay;
pub use store::{HighWater, Store, StoreError};
