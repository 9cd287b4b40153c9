//! `metsuke detections` and `metsuke exceptions`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum Detections {
    /// The detections in force, with how often each struck.
    List {
        /// Only those whose id or title has this in it.
        text: Option<String>,
        /// Only those of this origin.
        #[arg(long, value_enum)]
        origin: Option<Origin>,
        /// Only noisy ones.
        #[arg(long)]
        noisy: bool,
        /// Only those that are switched off.
        #[arg(long)]
        off: bool,
    },
    /// One detection: its document, samples, tuning and hits.
    Show {
        /// Its id.
        id: String,
    },
    /// Switch a detection on, everywhere or for a group.
    Enable(Switch),
    /// Switch a detection off, everywhere or for a group.
    Disable(Switch),
    /// Give a detection another level, everywhere or for a group, or take back what was said of it.
    Tune {
        #[command(flatten)]
        of: Switch,
        /// The level from now on.
        #[arg(long, value_enum, required_unless_present = "reset")]
        level: Option<Level>,
        /// Take back level and switch: as it is written, or as it is for everybody.
        #[arg(long, conflicts_with = "level")]
        reset: bool,
    },
    /// Put documents of your own into force, one detection a file, new or in place of the one before.
    Put {
        /// The documents; `-` is standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Ask the server what it says of documents, without putting them.
    Check {
        /// The documents; `-` is standard input.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Remove a detection that is your own or was imported.
    Remove {
        /// Its id.
        id: String,
    },
    /// Run a detection, or a document that is not in force, over the server's history.
    Backtest {
        /// The detection's id.
        #[arg(required_unless_present = "file")]
        id: Option<String>,
        /// A document instead; `-` is standard input.
        #[arg(long, conflicts_with = "id")]
        file: Option<PathBuf>,
        #[command(flatten)]
        over: Over,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Switch {
    /// The detection's id.
    pub(crate) id: String,
    /// Only for this group of endpoints.
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// Why; it is kept with the change.
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Over {
    /// From when on, such as 2027-01-01T00:00:00Z; by default a week before the end.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// Until when; by default now.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Origin {
    /// Ships with the product.
    Shipped,
    /// Yours.
    Own,
    /// Taken over from others.
    Imported,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Level {
    /// Worth knowing.
    Informational,
    /// Low.
    Low,
    /// Medium.
    Medium,
    /// High.
    High,
    /// Critical.
    Critical,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Exceptions {
    /// The exceptions, expired ones too, with what each has hidden.
    List,
    /// Look at what an exception would have hidden, without making it.
    Preview {
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        over: Over,
    },
    /// Make an exception; what it means is collected from now on, and nothing is alerted for it.
    Add {
        /// What it is called.
        #[arg(long)]
        title: String,
        #[command(flatten)]
        what: What,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Until when it holds, such as 2027-01-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        expires: String,
    },
    /// Take an exception back.
    Remove {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct What {
    /// Of these detections, by id; once per detection. Without, of every one.
    #[arg(long, value_name = "ID")]
    pub(crate) detection: Vec<String>,
    /// On the endpoints of these groups; once per group.
    #[arg(long)]
    pub(crate) group: Vec<String>,
    /// On these endpoints, by id or host name; once per endpoint.
    #[arg(long)]
    pub(crate) endpoint: Vec<String>,
    /// What else must hold, as in a selection of Sigma: `Image|endswith: /backup`, a line each. Empty,
    /// whatever the detections find.
    #[arg(long, default_value = "")]
    pub(crate) condition: String,
}
