//! What both programs of this package share: the sensor's eyes over rooms, the actions of
//! shipped detections, ordinary work, and invented intrusions.
//!
//! Leaves the atomics themselves to `main.rs`.

pub mod actions;
pub mod group;
pub mod scenarios;
pub mod watch;
pub mod work;
