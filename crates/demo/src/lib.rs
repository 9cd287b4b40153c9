#![doc = include_str!("../README.md")]

pub mod intrusion;
pub mod listener;
pub mod scene;
pub mod seed;
pub mod shell;
pub mod truth;
pub mod twin;
