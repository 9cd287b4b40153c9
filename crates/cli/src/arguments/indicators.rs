//! `metsuke indicators`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Indicators {
    /// Read feeds and show what would be taken and what not; with --into, keep it as one file.
    Import {
        #[command(flatten)]
        feeds: Feeds,
        /// Write the set, ready for look-ups, to this file.
        #[arg(long, value_name = "SNAPSHOT")]
        into: Option<PathBuf>,
    },
    /// Read feeds and write their indicators to standard output in one form.
    Export {
        #[command(flatten)]
        feeds: Feeds,
        /// The form.
        #[arg(long = "as", value_enum, default_value_t = Form::Jsonl)]
        form: Form,
    },
    /// Ask what is said of values, by feeds or by a file of `import --into`.
    Lookup {
        /// Values, defanged or not; of a domain those above it count, of an address its networks.
        #[arg(required = true)]
        values: Vec<String>,
        /// Where to look: feeds, or snapshots.
        #[arg(long = "in", required = true, num_args = 1.., value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Find the indicators in a report, with where they stand.
    Extract {
        /// Text; `-` is standard input.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Feeds {
    /// Feeds.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// What they are; by default it is told by how they begin.
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    pub(crate) format: Format,
    /// Who says so; by default the file's name.
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// What is to be done when they are seen, where a feed is silent.
    #[arg(long, value_enum, default_value_t = Action::Alert)]
    pub(crate) action: Action,
}

/// Formats of feeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Whatever it looks like.
    Auto,
    /// A STIX 2.1 bundle.
    Stix,
    /// MISP JSON.
    Misp,
    /// OpenIOC 1.0 or 1.1.
    Openioc,
    /// A table.
    Csv,
    /// One value a line.
    List,
    /// Free text.
    Report,
}

/// Forms of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A JSON object a line, with everything that is known.
    Jsonl,
    /// The values alone.
    List,
}

/// What is to be done when an indicator is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Action {
    /// Told.
    Alert,
    /// Told, and stopped where the policy says so.
    Block,
    /// Known good.
    Allow,
}
