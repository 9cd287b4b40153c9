//! HTTP interface.

pub mod alerts;
pub mod audit;
pub mod auth;
pub mod detections;
pub mod endpoints;
pub mod enrolment;
pub mod openapi;
pub mod overview;
pub mod problem;
pub mod responses;
pub mod search;
pub mod session;
pub mod shape;
pub mod stream;
pub mod techniques;
pub mod tokens;
pub mod tree;
pub mod users;

/// State.
#[derive(Clone, Debug)]
pub struct App;
