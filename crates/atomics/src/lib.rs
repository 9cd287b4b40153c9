//! What both programs of this package share: the sensor's eyes over rooms, and the actions of
//! shipped detections.
//!
//! Leaves the atomics themselves to `main.rs`.

pub mod actions;
pub mod group;
pub mod watch;
