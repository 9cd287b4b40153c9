#![doc = include_str!("../README.md")]

pub mod deny;
pub mod gate;
pub mod host;
pub mod pidfd;
pub mod poc;
pub mod scope;
pub mod terminate;

pub use poc::{PocError, PocPlace};
pub use scope::{EnforceScope, ScopeError};
pub use terminate::{TerminateError, Terminator};
