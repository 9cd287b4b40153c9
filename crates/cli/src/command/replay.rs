//! `metsuke replay`: recordings of an incident, with what would have been detected and stopped.

mod offline;
mod table;

use std::io::{self, Write};
use std::process::ExitCode;

use metsuke_incident::course::Report;

use crate::arguments::Arguments;
use crate::arguments::detect::Output;
use crate::arguments::replay::Replay;
use crate::failure::Failure;

pub(crate) fn run(arguments: &Arguments, replay: &Replay) -> Result<ExitCode, Failure> {
    if !replay.offline {
        return Err(Failure::Usage(
            "only `--offline` is there yet: name detections with --rules or --shipped".to_owned(),
        ));
    }
    offline::run(arguments, replay)
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
