//! `metsuke-yara CPU_PERCENT MEMORY_BYTES SECONDS`: rules and bytes on standard input, matches as JSON
//! lines on standard output (`docs/spec/yara.md`). It opens nothing, and ends with its input.
//!
//! Invariant: before the first byte is read the process has given up its privileges and opening
//! files and most system calls, and bounded its memory and CPU time. Invariant: after each block it rests so long that it holds to
//! its share of a CPU.

mod filter;
mod frames;
mod limits;
mod rules;
mod session;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("metsuke-yara: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), session::Failure> {
    let limits = limits::Limits::of(std::env::args().skip(1))?;
    limits.apply()?;
    session::run(std::io::stdin().lock(), std::io::stdout().lock(), limits.pace())
}
