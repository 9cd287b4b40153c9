#![doc = include_str!("../README.md")]

mod budget;
mod cache;
mod content;
mod hasher;
mod magic;

pub use content::{Content, Digester, Fuzzy, HEADER_BYTES, of_bytes};
pub use hasher::{FileFacts, Hasher, Identity, Limits, Listener, Missing, Outcome, Stats};
pub use magic::ContentType;
