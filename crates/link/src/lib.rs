#![doc = include_str!("../README.md")]

pub mod artifact;
pub mod ca;
pub mod client;
pub mod codec;
mod dial;
pub mod enrol;
mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod identity;
pub mod inventory;
pub mod limits;
pub mod message;
pub mod proto;
pub mod sealed;
pub mod server;
pub mod sign;
pub mod spool;
mod tls;
mod wire;

pub use dial::DialError;
pub use identity::{Identity, IdentityError};
pub use tls::TlsError;
pub use wire::WireError;
