//! `metsuke indicators`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Indicators {
    /// Read feeds and show what would be taken and what not; with --into, keep it as one file; with
    /// --server, bring it to the server, which looks back for it.
    Import {
        #[command(flatten)]
        feeds: Feeds,
        /// Write the set, ready for look-ups, to this file.
        #[arg(long, value_name = "SNAPSHOT", conflicts_with = "server")]
        into: Option<PathBuf>,
        /// Bring the feeds to the server.
        #[arg(long)]
        server: bool,
        #[command(flatten)]
        more: More,
    },
    /// The server's indicators, newest first.
    List {
        /// A value: a hash or address as a whole, of others a part.
        value: Option<String>,
        /// Kind, such as `sha256` or `domain`.
        #[arg(long)]
        kind: Option<String>,
        /// Source.
        #[arg(long)]
        source: Option<String>,
        /// `block`, `allow` or `watch`.
        #[arg(long)]
        list: Option<String>,
        /// `active` or `expired`.
        #[arg(long)]
        state: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// One indicator of the server: where it comes from, where it was seen, and where first.
    Show {
        /// Its id, or its value where only one source speaks of it.
        indicator: String,
    },
    /// Enter one indicator on the server.
    Add {
        /// The value, defanged or not.
        value: String,
        /// Whose it is.
        #[arg(long)]
        source: String,
        /// What is to be done when it is seen.
        #[arg(long, value_enum, default_value_t = Action::Alert)]
        action: Action,
        /// Its kind; by default it is told by its form.
        #[arg(long)]
        kind: Option<String>,
        /// How sure one is, 0 to 100.
        #[arg(long)]
        confidence: Option<u8>,
        /// From when on it no longer holds, such as 2027-01-01T00:00:00Z.
        #[arg(long)]
        expires: Option<String>,
        /// What to write to it.
        #[arg(long)]
        note: Option<String>,
    },
    /// Remove an indicator from the server, or with --source everything that source says.
    Remove {
        /// Its id.
        #[arg(required_unless_present = "source")]
        id: Option<String>,
        /// A source.
        #[arg(long, conflicts_with = "id")]
        source: Option<String>,
    },
    /// The sources of the server's indicators.
    Sources,
    /// Where indicators were met, newest first.
    Sightings {
        /// Only of this indicator: its id.
        #[arg(long)]
        indicator: Option<String>,
        /// Only on this endpoint: host name or id.
        #[arg(long)]
        endpoint: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
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

/// What a server is told beside the feeds.
#[derive(Debug, Args)]
pub(crate) struct More {
    /// How sure the source is, 0 to 100, where a feed is silent.
    #[arg(long, requires = "server")]
    pub(crate) confidence: Option<u8>,
    /// From when on they no longer hold, such as 2027-01-01T00:00:00Z, where a feed is silent.
    #[arg(long, requires = "server")]
    pub(crate) expires: Option<String>,
    /// A label for all of them.
    #[arg(long, requires = "server")]
    pub(crate) label: Vec<String>,
    /// Only say what they would bring.
    #[arg(long, requires = "server")]
    pub(crate) preview: bool,
    /// Do not wait until the server has looked back.
    #[arg(long, requires = "server")]
    pub(crate) no_wait: bool,
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

impl Format {
    /// Its name at the server.
    pub(crate) const fn at_server(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Stix => "stix",
            Self::Misp => "misp",
            Self::Openioc => "openioc",
            Self::Csv => "csv",
            Self::List => "text",
            Self::Report => "report",
        }
    }
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

impl Action {
    /// The server's list that does it.
    pub(crate) const fn list(self) -> &'static str {
        match self {
            Self::Alert => "watch",
            Self::Block => "block",
            Self::Allow => "allow",
        }
    }
}
