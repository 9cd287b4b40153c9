#![doc = include_str!("../README.md")]

pub mod limits;
pub mod message;
pub mod proto;
pub mod server;
