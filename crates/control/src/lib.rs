#![doc = include_str!("../README.md")]

mod content;
mod dispatch;
mod plans;

pub use content::{ContentError, current_content, current_policy};
pub use dispatch::Control;
pub use plans::{Order, OrderError, Target, read as plan_of};
