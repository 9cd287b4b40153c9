#![doc = include_str!("../README.md")]

mod history;
mod hosts;
mod live;
mod look;
mod lookout;
mod met;
mod order;
mod preview;
mod publish;
#[cfg(test)]
mod tests;
mod wanted;
mod worker;

pub use metsuke_intel::Packs;

pub use history::{Events, History, HistoryError, Wanted};
pub use live::{Indicators, OpenError};
pub use lookout::Lookout;
pub use order::{ChangeError, Imported, NewIndicator, Order};
pub use preview::{Conflict, Preview, Sample};
pub use worker::Worker;
