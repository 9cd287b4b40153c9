//! `metsuke-sensor enrol`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use metsuke_link::Identity;
use metsuke_link::enrol::enrol;

use crate::facts;

/// Where the token may be given without other processes seeing it.
const TOKEN_ENV: &str = "METSUKE_ENROL_TOKEN";
/// Longest token read from a file, in bytes; far more than a server makes.
const TOKEN_MAX: u64 = 4_096;

/// Arguments of `enrol`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's link address.
    #[arg(long, value_name = "HOST:PORT")]
    server: String,
    /// The one-time token itself. Every user of this host can read the arguments of its programs:
    /// prefer `--token-file` or the variable `METSUKE_ENROL_TOKEN`.
    #[arg(long, conflicts_with = "token_file")]
    token: Option<String>,
    /// File with the one-time token, `-` for standard input.
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
    /// SHA-256 of the server's certificate authority, as the server printed it.
    #[arg(long, value_name = "HEX")]
    ca_fingerprint: String,
    /// Where the sensor keeps its state.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
}

impl Args {
    fn token(&self) -> anyhow::Result<String> {
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => token.clone(),
            (None, Some(path)) => read_token(path)
                .with_context(|| format!("no token can be read from {}", path.display()))?,
            (None, None) => std::env::var(TOKEN_ENV).with_context(|| {
                format!("no token is given; use --token-file, or set {TOKEN_ENV}")
            })?,
        };
        let token = token.trim();
        anyhow::ensure!(!token.is_empty(), "the token is empty");
        Ok(token.to_owned())
    }
}

/// The token in a file, or on standard input for `-`.
pub(crate) fn read_token(path: &Path) -> io::Result<String> {
    let mut token = String::new();
    if path == Path::new("-") {
        io::stdin().take(TOKEN_MAX).read_to_string(&mut token)?;
    } else {
        File::open(path)?.take(TOKEN_MAX).read_to_string(&mut token)?;
    }
    Ok(token)
}

/// Enrols with the token in `token_file`, and keeps the identity in `state`.
///
/// # Errors
/// When the token cannot be read, the server refuses, or the identity cannot be kept.
pub(crate) fn enrol_with(
    server: &str,
    token_file: &Path,
    ca_fingerprint: &str,
    state: &Path,
) -> anyhow::Result<Identity> {
    let token = read_token(token_file)
        .with_context(|| format!("no token can be read from {}", token_file.display()))?;
    let token = token.trim();
    anyhow::ensure!(!token.is_empty(), "the token is empty");
    enrol_as(server, token, ca_fingerprint, state)
}

fn enrol_as(
    server: &str,
    token: &str,
    ca_fingerprint: &str,
    state: &Path,
) -> anyhow::Result<Identity> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let identity = runtime
        .block_on(enrol(server, token, ca_fingerprint, facts::enrol()))
        .context("this host was not enrolled")?;
    identity.save(state).context(
        "enrolled, but the identity could not be kept; make room and enrol again with a new token",
    )?;
    Ok(identity)
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !Identity::exists(&args.state),
        "{} holds an identity already; use another folder, or remove it to give that identity up",
        args.state.display()
    );
    let token = args.token()?;
    let identity = enrol_as(&args.server, &token, &args.ca_fingerprint, &args.state)?;
    println!("enrolled as endpoint {}", identity.endpoint);
    Ok(ExitCode::SUCCESS)
}
