#![doc = include_str!("../README.md")]

pub mod stage;
pub mod workload;
