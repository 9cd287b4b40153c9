#![doc = include_str!("../README.md")]

pub mod api;
pub mod binaries;
pub mod builders;
pub mod cgroup;
pub mod clock;
pub mod http;
pub mod judge;
pub mod not_run;
pub mod process;
pub mod sensor;
pub mod server;
pub mod small_disk;
pub mod table;
pub mod wait;

pub use api::Api;
pub use cgroup::Cgroup;
pub use sensor::{Sensor, SensorOptions};
pub use server::{Server, ServerOptions};
