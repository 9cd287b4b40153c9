#![doc = include_str!("../README.md")]

mod content;
mod dispatch;
pub mod library;
mod noise;
mod packs;
mod plans;
pub mod trials;

pub use content::{ContentError, current_policy};
pub use dispatch::Control;
pub use library::Library;
pub use noise::noisy;
pub use plans::{Order, OrderError, Target, read as plan_of};
