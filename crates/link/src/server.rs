//! The server's side of the link.

mod handler;

pub use handler::{EnrolError, Handler, HandlerError};
