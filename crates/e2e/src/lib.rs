#![doc = include_str!("../README.md")]

pub mod stage;
pub mod synthetic;
pub mod workload;
