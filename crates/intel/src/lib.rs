#![doc = include_str!("../README.md")]

pub mod filter;
pub mod indicator;
pub mod normalise;
pub mod observe;
pub mod packs;
pub mod problem;
pub mod read;
pub mod refang;
pub mod set;

pub use indicator::{Action, Context, Indicator, Kind, Severity};
pub use normalise::Refusal;
pub use observe::{Matcher, Sighting};
pub use packs::{Pack, Packs, Watchlist};
pub use problem::Problem;
pub use read::Origin;
pub use set::{Answer, Builder, Match, Set, Within};
