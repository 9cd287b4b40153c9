//! `metsuke replay`: what can be typed.

use std::path::PathBuf;

use clap::Args;

use super::detect::{Format, Output};

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The recordings: files, folders (at any depth), zips of files.
    #[arg(long, num_args = 1.., required = true, value_name = "PATH")]
    pub(crate) input: Vec<PathBuf>,
    /// What the incident is called.
    #[arg(long, value_parser = name)]
    pub(crate) name: String,
    /// What the input is; by default it is told by what stands in it.
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    pub(crate) format: Format,
    /// Only events from then on: RFC 3339, or a day (YYYY-MM-DD, UTC).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only events before: RFC 3339, or a day (YYYY-MM-DD, UTC).
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// Here, without a server, with the detections of `--rules` or `--shipped`.
    #[arg(long)]
    pub(crate) offline: bool,
    /// Detections, with `--offline`: folders (at any depth) or files, `.yml` and `.yaml`.
    #[arg(long, num_args = 1.., value_name = "DIR", requires = "offline")]
    pub(crate) rules: Vec<PathBuf>,
    /// Also the detections that ship with the product, with `--offline`.
    #[arg(long, requires = "offline")]
    pub(crate) shipped: bool,
    /// What if alerts and hits of this level and above ended their process, beside the responses that
    /// detections carry.
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub(crate) stop_at: Option<StopAt>,
    /// How to print: one JSON object, or lines for people.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// Levels at which something may be thought to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum StopAt {
    /// Medium and above.
    Medium,
    /// High and above.
    High,
    /// Critical.
    Critical,
}

/// A name that a list can show.
fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err("a name has 1 to 100 characters, none of them a control character".to_owned());
    }
    Ok(text.to_owned())
}
