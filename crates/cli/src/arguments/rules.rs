//! `metsuke rules test` and `metsuke rules profile`: what can be typed.

use std::path::PathBuf;

use clap::{Args, value_parser};

use crate::arguments::detect::{Content, Format};

#[derive(Debug, Args)]
pub(crate) struct Test {
    /// Folders of detections, at any depth: each folder with a `detection.yml`, and beside it
    /// `fires/` and `quiet/` with samples.
    #[arg(required = true, value_name = "DIR")]
    pub(crate) paths: Vec<PathBuf>,
    /// Also load the detections that ship, for those that stand on them.
    #[arg(long)]
    pub(crate) shipped: bool,
    /// A detection that no sample makes strike is bad news too.
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Profile {
    #[command(flatten)]
    pub(crate) content: Content,
    /// What to measure them on: files, folders (at any depth), zips of files.
    #[arg(long, num_args = 1.., required = true, value_name = "PATH")]
    pub(crate) input: Vec<PathBuf>,
    /// What the input is; by default it is told by what stands in it.
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    pub(crate) format: Format,
    /// How many are shown, the dearest first.
    #[arg(long, default_value_t = 20)]
    pub(crate) top: usize,
    /// About one of so many events is measured.
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u32).range(1..=1_000_000))]
    pub(crate) every: u32,
    /// Nanoseconds per event above which a detection is called too dear; when one is, the command
    /// ends with 1.
    #[arg(long, value_name = "NANOS")]
    pub(crate) bound: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The collection; its `.yml` and `.yaml` files are read at any depth.
    pub(crate) folder: PathBuf,
    /// Where they go: an empty folder, or that of an earlier import.
    #[arg(long)]
    pub(crate) into: PathBuf,
    /// The licence of rules that name none themselves.
    #[arg(long)]
    pub(crate) licence: Option<String>,
    /// A value for a placeholder of Sigma's `expand`, as NAME=VALUE; once per value.
    #[arg(long)]
    pub(crate) placeholder: Vec<String>,
}
