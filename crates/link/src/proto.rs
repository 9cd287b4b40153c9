//! The generated protobuf types of `proto/metsuke/v1/link.proto`.
//!
//! `src/proto/metsuke.v1.rs` is committed, so building needs no `protoc`; the test
//! `generated_code` fails when it no longer matches, and rewrites it with `UPDATE=1`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    clippy::large_futures,
    reason = "generated code; the schema is the documentation"
)]

include!("proto/metsuke.v1.rs");
