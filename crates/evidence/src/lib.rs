#![doc = include_str!("../README.md")]

pub mod artifact;
pub mod collect;
pub mod dump;
pub mod files;
pub mod live;
pub mod maps;
pub mod memory;
pub mod pace;
pub mod reach;
pub mod scan;

pub use artifact::{ArtifactFile, Written};
pub use pace::Pace;
pub use reach::{Reach, ReachError, Subject};
