//! One file per command.

mod alert;
mod detect;
mod detections;
mod endpoint;
mod exceptions;
mod file;
mod indicators;
mod login;
mod plan;
mod poc;
mod replay;
mod rules;
mod search;
mod status;
mod terminate;
mod token;
mod tree;
mod yara;

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;

use crate::arguments::{Arguments, Command};
use crate::client::Client;
use crate::failure::Failure;

/// How a command ended that did what it was asked to: well, or with bad news.
pub(crate) const BAD_NEWS: u8 = 1;
/// The exit code of a search that found nothing.
pub(crate) const NOTHING_FOUND: u8 = 4;

/// Runs what was typed.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        Command::Login(login) => login::run(arguments, login),
        Command::Status => status::run(arguments, &Client::of(arguments)?),
        Command::Token(token) => token::run(arguments, &Client::of(arguments)?, token),
        Command::Endpoint(endpoint) => endpoint::run(arguments, &Client::of(arguments)?, endpoint),
        Command::File(file) => file::run(arguments, &Client::of(arguments)?, file),
        Command::Alert(alert) => alert::run(arguments, &Client::of(arguments)?, alert),
        Command::Search(search) => search::run(arguments, &Client::of(arguments)?, search),
        Command::Tree(tree) => tree::run(arguments, &Client::of(arguments)?, tree),
        Command::Terminate(terminate) => {
            terminate::run(arguments, &Client::of(arguments)?, terminate)
        }
        Command::Rules(rules) => rules::run(arguments, rules),
        Command::Detect(one) => detect::run(arguments, one),
        Command::Detections(one) => detections::run(arguments, &Client::of(arguments)?, one),
        Command::Exceptions(one) => exceptions::run(arguments, &Client::of(arguments)?, one),
        Command::Replay(one) => replay::run(arguments, one),
        Command::Indicators(one) => indicators::run(arguments, one),
        Command::Yara(one) => yara::run(arguments, one),
        Command::Poc(poc) => poc::run(arguments, &Client::of(arguments)?, poc),
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            // Not straight to standard output: the generator panics when that is closed.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command, "metsuke", &mut script);
            std::io::stdout().write_all(&script)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
