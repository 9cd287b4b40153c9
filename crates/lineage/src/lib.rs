#![doc = include_str!("../README.md")]

pub mod storyline;
mod tree;

pub use tree::{Counts, Node, Tree};
