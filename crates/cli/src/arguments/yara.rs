//! `metsuke yara`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Yara {
    /// Whether YARA rules are fit for every host: they compile, are not slow, and hit nothing clean.
    Check(Check),
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Files of rules, or folders with `.yar` and `.yara` files.
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Clean files, or folders of them: what rules must not hit, and what their cost is measured on.
    #[arg(long, value_name = "PATH", default_value = "/usr/bin")]
    pub(crate) clean: Vec<PathBuf>,
    /// At most so many MiB of clean files.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) mib: u64,
    /// Milliseconds of a CPU that the rules of one file may take for a MiB.
    #[arg(long, value_name = "N", default_value_t = 20.0, allow_negative_numbers = true)]
    pub(crate) most_ms: f64,
    /// The scanner; `metsuke-yara` beside this program by default.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) scanner: Option<PathBuf>,
}
