#![doc = include_str!("../README.md")]

mod config;
mod dpkg;
mod files;
mod hash;
mod held;
mod index;
mod known;
mod ledger;
mod magic;
mod owners;
mod pace;
mod processes;
mod products;
mod resident;
mod rpm;
mod sockets;
mod support;
mod surveys;
mod system;
mod users;
mod walk;

pub use config::Config;
pub use held::{Inventory, Trouble};
pub use known::Known;
pub use resident::{Resident, StartError};
