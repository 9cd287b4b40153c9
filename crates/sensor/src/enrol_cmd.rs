//! `metsuke-sensor enrol`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use metsuke_link::Identity;
use metsuke_link::enrol::enrol;

use crate::facts;

/// Arguments of `enrol`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's link address.
    #[arg(long, value_name = "HOST:PORT")]
    server: String,
    /// The one-time token.
    #[arg(long)]
    token: String,
    /// SHA-256 of the server's certificate authority, as the server printed it.
    #[arg(long, value_name = "HEX")]
    ca_fingerprint: String,
    /// Where the sensor keeps its state.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !Identity::exists(&args.state),
        "{} holds an identity already; use another folder, or remove it to give that identity up",
        args.state.display()
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let identity = runtime
        .block_on(enrol(&args.server, &args.token, &args.ca_fingerprint, facts::enrol()))
        .context("this host was not enrolled")?;
    identity.save(&args.state).context(
        "enrolled, but the identity could not be kept; make room and enrol again with a new token",
    )?;
    println!("enrolled as endpoint {}", identity.endpoint);
    Ok(ExitCode::SUCCESS)
}
