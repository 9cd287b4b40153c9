#![doc = include_str!("../README.md")]

mod budget;
mod cache;
mod hasher;

pub use hasher::{FileFacts, Hasher, Identity, Limits, Missing, Outcome, Stats};
