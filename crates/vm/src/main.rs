#![doc = include_str!("../README.md")]
#![expect(
    unsafe_code,
    reason = "system calls without a safe wrapper; every block says why it is sound"
)]
#![expect(clippy::print_stdout, reason = "the console is how results leave the machine")]

mod cases;
mod gate;
mod init;
mod role;
mod sees;
mod suite;
mod systemd;
mod tamper;
mod tiny;
mod world;

use std::process::ExitCode;

fn ended(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if std::process::id() == 1 {
        return init::main();
    }
    match first.as_deref() {
        Some("suite") => suite::main(),
        Some("hold") => ended(suite::hold(&arguments.next().unwrap_or_default())),
        Some("gate") => ended(gate::hold()),
        Some("systemd") => systemd::main(),
        Some("role") => ExitCode::from(role::main(&arguments.collect::<Vec<_>>())),
        _ => {
            eprintln!("this program is process 1 of a virtual machine; run ./x test --vm");
            ExitCode::FAILURE
        }
    }
}
