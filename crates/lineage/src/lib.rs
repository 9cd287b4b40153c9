#![doc = include_str!("../README.md")]

pub mod recorded;
pub mod storyline;
mod tree;

pub use recorded::Recorded;
pub use tree::{Counts, Node, Tree};
