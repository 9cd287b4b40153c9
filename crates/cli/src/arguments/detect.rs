//! `metsuke detect`: what can be typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use metsuke_intake::Format as Intake;

/// Which detections.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Content {
    /// Detections: folders (at any depth) or files, `.yml` and `.yaml`.
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub(crate) rules: Vec<PathBuf>,
    /// Also the detections that ship with the product.
    #[arg(long)]
    pub(crate) shipped: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Detect {
    #[command(flatten)]
    pub(crate) content: Content,
    /// What to look through: files, folders (at any depth), zips of files.
    #[arg(long, num_args = 1.., required = true, value_name = "PATH")]
    pub(crate) input: Vec<PathBuf>,
    /// What the input is; by default it is told by what stands in it.
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    pub(crate) format: Format,
    /// Only events from then on: RFC 3339, or a day (YYYY-MM-DD, UTC).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only events before: RFC 3339, or a day (YYYY-MM-DD, UTC).
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// How to print: a JSON object a line, with a summary as JSON on standard error, or lines for
    /// people.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    pub(crate) output: Output,
}

/// Formats of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Whatever it looks like.
    Auto,
    /// An object of JSON a line, of any form that is known.
    Jsonl,
    /// Windows event log.
    Evtx,
    /// Raw log of auditd.
    Auditd,
    /// Elastic Common Schema, an object a line.
    Ecs,
    /// OCSF, an object a line.
    Ocsf,
    /// As `metsuke-sensor record --format native` writes.
    Native,
}

impl Format {
    pub(crate) const fn intake(self) -> Intake {
        match self {
            Self::Auto => Intake::Auto,
            Self::Jsonl => Intake::Jsonl,
            Self::Evtx => Intake::Evtx,
            Self::Auditd => Intake::Auditd,
            Self::Ecs => Intake::Ecs,
            Self::Ocsf => Intake::Ocsf,
            Self::Native => Intake::Native,
        }
    }
}

/// Forms of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// A JSON object per match.
    Json,
    /// A line per match.
    Table,
}
