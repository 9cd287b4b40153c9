//! What can be typed to take evidence.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, value_parser};

use super::MAX_WAIT_S;

/// Evidence of one endpoint.
#[derive(Debug, Subcommand)]
pub(crate) enum Take {
    /// Read the memory of a process, without stopping it.
    Dump {
        /// The endpoint (id or host name).
        endpoint: String,
        /// The process (BOOT-PID-TICKS, as trees and searches name it).
        process: String,
        /// Which mappings.
        #[arg(long, value_enum, default_value_t = Regions::Anonymous)]
        regions: Regions,
        /// At most so many bytes.
        #[arg(long)]
        max_bytes: Option<u64>,
        #[command(flatten)]
        order: Order,
    },
    /// Read a file.
    Collect {
        /// The endpoint (id or host name).
        endpoint: String,
        /// The file, absolute.
        path: String,
        /// At most so many bytes.
        #[arg(long)]
        max_bytes: Option<u64>,
        #[command(flatten)]
        order: Order,
    },
    /// Look for YARA rules in a file, a folder or the memory of a process.
    #[command(group(clap::ArgGroup::new("target").required(true)))]
    Scan {
        /// The endpoint (id or host name).
        endpoint: String,
        /// The rules, a file of YARA source.
        #[arg(long)]
        rules: PathBuf,
        /// The file or folder, absolute.
        #[arg(long, group = "target")]
        path: Option<String>,
        /// The process (BOOT-PID-TICKS).
        #[arg(long, group = "target")]
        process: Option<String>,
        #[command(flatten)]
        order: Order,
    },
    /// List what there is now.
    Live {
        /// The endpoint (id or host name).
        endpoint: String,
        /// What.
        #[arg(value_enum)]
        what: LiveList,
        #[command(flatten)]
        order: Order,
    },
    /// Compare what the kernel knows with what it tells programs.
    Crossview {
        /// The endpoint (id or host name).
        endpoint: String,
        #[command(flatten)]
        order: Order,
    },
    /// What plans brought from the endpoint.
    Artifacts {
        /// The endpoint (id or host name).
        endpoint: String,
    },
    /// Save what a plan brought, and what is known of it beside.
    Fetch {
        /// The plan.
        plan: String,
        /// Where to; must not exist.
        #[arg(long)]
        output: PathBuf,
    },
}

/// Why, and how long to wait.
#[derive(Debug, Args)]
pub(crate) struct Order {
    /// Why; stands in the audit log.
    #[arg(long)]
    pub(crate) reason: String,
    /// The alert it answers.
    #[arg(long)]
    pub(crate) alert: Option<String>,
    /// Seconds to wait for the end; 0 to return as soon as it is queued.
    #[arg(long, default_value_t = 600, value_parser = value_parser!(u64).range(..=MAX_WAIT_S))]
    pub(crate) wait: u64,
    /// Save what it brought there, and what is known of it beside; must not exist.
    #[arg(long)]
    pub(crate) output: Option<PathBuf>,
}

/// Which mappings of a process.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Regions {
    /// Every one.
    All,
    /// Those without a file behind them.
    Anonymous,
    /// Those that can be executed.
    Executable,
    /// The main stack and the heap.
    StackHeap,
}

impl Regions {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Anonymous => "anonymous",
            Self::Executable => "executable",
            Self::StackHeap => "stack_heap",
        }
    }
}

/// A list.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LiveList {
    /// Processes.
    Processes,
    /// Sockets.
    Sockets,
    /// Kernel modules.
    Modules,
}

impl LiveList {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Sockets => "sockets",
            Self::Modules => "modules",
        }
    }
}
