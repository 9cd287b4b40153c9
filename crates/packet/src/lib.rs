#![doc = include_str!("../README.md")]

pub mod dns;
mod fingerprint;
mod read;
pub mod tls;
