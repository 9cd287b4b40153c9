#![doc = include_str!("../README.md")]
#![expect(
    unsafe_code,
    reason = "system calls without a safe wrapper; every block says why it is sound"
)]
#![expect(clippy::print_stdout, reason = "the console is how results leave the machine")]

mod cases;
mod init;
mod role;
mod suite;
mod tiny;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if std::process::id() == 1 {
        return init::main();
    }
    match first.as_deref() {
        Some("suite") => suite::main(),
        Some("hold") => match suite::hold(&arguments.next().unwrap_or_default()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("{error:#}");
                ExitCode::FAILURE
            }
        },
        Some("role") => ExitCode::from(role::main(&arguments.collect::<Vec<_>>())),
        _ => {
            eprintln!("this program is process 1 of a virtual machine; run ./x test --vm");
            ExitCode::FAILURE
        }
    }
}
