//! `metsuke replay`: recordings of an incident, with what would have been detected and stopped.

mod offline;
mod online;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

use metsuke_incident::course::Report;

use crate::arguments::Arguments;
use crate::arguments::detect::Output;
use crate::arguments::replay::{Replay, StopAt};
use crate::client::Client;
use crate::failure::Failure;

pub(crate) fn run(arguments: &Arguments, replay: &Replay) -> Result<ExitCode, Failure> {
    if replay.offline {
        offline::run(arguments, replay)
    } else {
        online::run(arguments, &Client::of(arguments)?, replay)
    }
}

/// The level called so at the server.
const fn level(stop_at: StopAt) -> &'static str {
    match stop_at {
        StopAt::Medium => "medium",
        StopAt::High => "high",
        StopAt::Critical => "critical",
    }
}

/// Whether the answer is to be JSON.
fn is_json(arguments: &Arguments, replay: &Replay) -> bool {
    arguments.json || replay.output == Output::Json
}

/// Writes a report to standard output.
fn tell(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, report)?;
        writeln!(out)?;
    } else {
        table::write(&mut out, report)?;
    }
    out.flush()
}
