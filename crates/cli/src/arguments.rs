//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

pub(crate) mod detect;
pub(crate) mod detections;
pub(crate) mod evidence;
pub(crate) mod indicators;
pub(crate) mod replay;
pub(crate) mod rules;
pub(crate) mod yara;

/// Exit codes, as `--help` prints them; the same table stands in the README.
const EXIT_CODES: &str = "Exit codes: 0 done; 1 done, bad news (refused rule, damaged file, failed \
    plan, recall below 100 %); 2 wrong usage; 3 not signed in or not allowed; 4 no such thing, or nothing found; \
    5 refused by the state of things; 6 no server answers; 7 the server failed; 130 interrupted.";

/// Longest wait that can be asked for, in seconds: a week, as long as a plan can live.
const MAX_WAIT_S: u64 = 604_800;

/// The command line client of Metsuke.
#[derive(Debug, Parser)]
#[command(name = "metsuke", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The server, for example `http://127.0.0.1:7680`.
    #[arg(long, global = true, env = "METSUKE_URL")]
    pub(crate) url: Option<String>,
    /// Bearer token; better in the environment than on a command line others can read.
    #[arg(long, global = true, env = "METSUKE_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in and keep a token (config file, mode 0600).
    Login(Login),
    /// What needs attention, in numbers.
    Status,
    /// API tokens: your own, as an administrator everybody's.
    #[command(subcommand)]
    Token(Token),
    /// Endpoints.
    #[command(subcommand)]
    Endpoint(Endpoint),
    /// Who has a file, whether or not it ever ran and the host is on.
    File(File),
    /// Alerts.
    #[command(subcommand)]
    Alert(Alert),
    /// Search every activity of every endpoint.
    Search(Search),
    /// Show the process tree of an alert or a process.
    Tree(Tree),
    /// End a process or its storyline.
    Terminate(Terminate),
    /// Detection content.
    #[command(subcommand)]
    Rules(Rules),
    /// The server's detections: switched, tuned, put, tried over its history.
    #[command(subcommand)]
    Detections(detections::Detections),
    /// The server's exceptions: what is collected and not alerted for.
    #[command(subcommand)]
    Exceptions(detections::Exceptions),
    /// Run detections over files of events, here, without a server.
    Detect(detect::Detect),
    /// Replay recordings of an incident: what would have been detected, and what stopped.
    Replay(replay::Replay),
    /// Indicators in feeds and reports, here, without a server.
    #[command(subcommand)]
    Indicators(indicators::Indicators),
    /// YARA rules, here, without a server.
    #[command(subcommand)]
    Yara(yara::Yara),
    /// Prove by exercise that every endpoint is seen: a unique harmless file is dropped, renamed,
    /// copied and run there, then searched for, then removed.
    Poc(Poc),
    /// Write shell completions to standard output.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Account name.
    #[arg(long, default_value = "admin")]
    pub(crate) user: String,
    /// What the token is called at the server; by default after this host.
    #[arg(long)]
    pub(crate) name: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Every token that is good now; the tokens themselves are never shown.
    List,
    /// End a token at once.
    Revoke {
        /// Its id, as the list shows it.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Endpoint {
    /// Every endpoint with its tier and state.
    List,
    #[command(flatten)]
    Take(evidence::Take),
    /// One endpoint: what it is, what is kept of it, what is wrong.
    Show {
        /// Id or host name.
        endpoint: String,
    },
    /// Give leave to remove sensors from their hosts, a line each: host and token.
    UninstallToken {
        /// Ids or host names.
        #[arg(required = true)]
        endpoint: Vec<String>,
        /// Hours it holds, up to a week; it cannot be taken back.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=168))]
        hours: u32,
        /// Why, for the audit log.
        #[arg(long)]
        reason: String,
    },
    /// What is on an endpoint.
    Inventory {
        /// Id or host name.
        endpoint: String,
        /// Of this kind.
        #[arg(long, value_enum, default_value_t = InventoryKind::Executable)]
        kind: InventoryKind,
        /// Only what holds this text.
        #[arg(long)]
        search: Option<String>,
        /// Also what went in the last three months.
        #[arg(long)]
        gone: bool,
        /// At most this many.
        #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..))]
        limit: u32,
    },
}

/// Kinds of things on a host.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum InventoryKind {
    /// Files the system could run, with hashes.
    Executable,
    /// Packages.
    Package,
    /// Accounts.
    User,
    /// Listening services.
    Service,
    /// Other security products.
    Product,
    /// Who holds fanotify, audit, BPF, security modules.
    Holder,
    /// The operating system and its end of support.
    System,
}

impl InventoryKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::Package => "package",
            Self::User => "user",
            Self::Service => "service",
            Self::Product => "product",
            Self::Holder => "holder",
            Self::System => "system",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct File {
    /// SHA-256 in hexadecimal, or a path (`*` stands for anything).
    pub(crate) file: String,
    /// At most this many.
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Alert {
    /// Alerts, highest score first.
    List {
        /// Only these.
        #[arg(long, value_enum)]
        status: Option<Status>,
        /// Only of this endpoint (id or host name).
        #[arg(long)]
        endpoint: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// One alert: score in parts, steps, reasons.
    Show {
        /// Its id.
        id: String,
    },
}

/// How far an alert has been dealt with.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Nobody has.
    New,
    /// Somebody is.
    InProgress,
    /// Done.
    Closed,
}

impl Status {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::InProgress => "in_progress",
            Self::Closed => "closed",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// For example `exe:*/curl AND NOT user:root`, or `sha256:…`.
    pub(crate) query: String,
    /// From when (RFC 3339); a day before the end by default.
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Until when (RFC 3339); now by default.
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 100)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("root").required(true)))]
pub(crate) struct Tree {
    /// The tree of this alert.
    #[arg(long, group = "root")]
    pub(crate) alert: Option<String>,
    /// The tree of this process (BOOT-PID-TICKS).
    #[arg(long, group = "root", requires = "endpoint")]
    pub(crate) process: Option<String>,
    /// Its endpoint (id or host name).
    #[arg(long)]
    pub(crate) endpoint: Option<String>,
    /// From when (RFC 3339).
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Until when (RFC 3339).
    #[arg(long)]
    pub(crate) to: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Terminate {
    /// The process (BOOT-PID-TICKS, as trees and searches name it); never a bare process id.
    pub(crate) process: String,
    /// Its endpoint (id or host name).
    #[arg(long)]
    pub(crate) endpoint: String,
    /// Everything of its storyline, not the process alone.
    #[arg(long)]
    pub(crate) storyline: bool,
    /// Why; stands in the audit log.
    #[arg(long)]
    pub(crate) reason: String,
    /// The alert it answers.
    #[arg(long)]
    pub(crate) alert: Option<String>,
    /// Seconds to wait for the end; 0 to return as soon as it is queued.
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u64).range(..=MAX_WAIT_S))]
    pub(crate) wait: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// Compile detections and show what is refused: where, why, and what to do.
    Check {
        /// Files, and folders whose `.yml` and `.yaml` files are read, at any depth.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// A value for a placeholder of Sigma's `expand`, as NAME=VALUE; once per value.
        #[arg(long)]
        placeholder: Vec<String>,
    },
    /// Take over somebody else's rules as files: those that compile, verbatim, with licence and author.
    Import(rules::Import),
    /// Run the samples of detections: what should strike does, and what should not does not.
    Test(rules::Test),
    /// Measure what detections cost on these events.
    Profile(rules::Profile),
}

#[derive(Debug, Args)]
pub(crate) struct Poc {
    /// Only on these endpoints (id or host name), online or not; by default on all that are
    /// online, and the others are listed.
    #[arg(long)]
    pub(crate) endpoint: Vec<String>,
    /// Seconds to wait until every copy is found.
    #[arg(long, default_value_t = 60, value_parser = value_parser!(u64).range(..=MAX_WAIT_S))]
    pub(crate) wait: u64,
    /// Leave the files there (the sensor removes them when their time is over).
    #[arg(long)]
    pub(crate) keep: bool,
}
