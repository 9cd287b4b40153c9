#![doc = include_str!("../README.md")]
#![expect(
    unsafe_code,
    reason = "system calls without a safe wrapper; every block says why it is sound"
)]

pub mod compare;
mod config;
mod files;
mod helper;
mod host;
mod kernel;
mod modules;
mod mounts;
mod objects;
mod processes;
mod raw;
mod report;
mod run;
mod sockets;
mod view;

pub use config::{Config, Helpers, KnownProcess, Scope};
pub use report::{Found, Report, ViewReport};
pub use run::{CrossviewError, run};
pub use view::{Clue, Pass, ProcessRef, Subject, SubjectType, View, ViewState};
