#![doc = include_str!("../README.md")]

mod arguments;
mod client;
mod command;
mod config;
mod failure;
mod interrupt;
mod output;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    match command::run(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            if !failure.is_closed_pipe() {
                let _ = writeln!(std::io::stderr(), "metsuke: {failure}");
            }
            failure.exit_code()
        }
    }
}
