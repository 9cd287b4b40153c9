#![doc = include_str!("../README.md")]

mod error;
mod eval;
mod fold;
mod lexer;
mod names;
mod parser;
mod pattern;
mod plan;
#[cfg(test)]
mod tests;
mod tests_of;

pub use error::QueryError;
pub use names::suggest_fields;
pub use parser::{MAX_DEPTH, MAX_QUERY_BYTES, MAX_TESTS, parse};
pub use pattern::{Pattern, Piece};
pub use plan::{End, Predicate, Query, Range, Test};
