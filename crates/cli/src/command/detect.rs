//! `metsuke detect`: runs detections over files of events, here, without a server.
//!
//! Matches go to standard output as they are found, the summary to standard error. Memory is
//! bounded whatever the input's size: files are read in pieces, and what the engine holds has its
//! own bounds.

pub(crate) mod content;
mod entities;
pub(crate) mod files;
mod finding;
pub(crate) mod lookout;
mod order;
mod progress;
pub(crate) mod summary;

use std::process::ExitCode;

use metsuke_event::Timestamp;

use crate::arguments::Arguments;
use crate::arguments::detect::{Detect, Output};
use crate::command::BAD_NEWS;
use crate::failure::Failure;
use files::Files;
use finding::Writer;
use lookout::Lookout;
use summary::{Clock, Summary};

pub(crate) fn run(arguments: &Arguments, detect: &Detect) -> Result<ExitCode, Failure> {
    let json = arguments.json || detect.output == Output::Json;
    let span = (time(detect.since.as_deref())?, time(detect.until.as_deref())?);
    let clock = Clock::start();
    let content = content::load(&detect.content.rules, detect.content.shipped)?;
    let files = Files::below(&detect.input)?;
    let mut summary = Summary::of(&content, clock);
    let writer = Writer::new(json);
    let mut lookout = Lookout::new(&content.rules, span, writer);
    let format = detect.format.intake();
    let outcome = files.read(format, &mut lookout, &mut summary);
    // What was found before a closed pipe or a full disk is told of all the same.
    let ended = lookout.end();
    summary.finish(lookout.numbers());
    summary.tell(json)?;
    outcome?;
    ended?;
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::from(BAD_NEWS) })
}

pub(crate) fn time(text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    full.parse()
        .map(Some)
        .map_err(|error: metsuke_event::time::ParseTimeError| Failure::Usage(error.to_string()))
}
