//! `metsuke-server password`: a new one-time password, for when nobody can sign in.

use std::io::Write;

use anyhow::{Context, Result};
use metsuke_catalog::PasswordKind;
use metsuke_catalog::clock::now;

use crate::DataFolder;

/// Arguments of `password`.
#[derive(Debug, clap::Args)]
pub(crate) struct PasswordArguments {
    #[command(flatten)]
    folder: DataFolder,
    /// The account.
    #[arg(long, default_value = "admin")]
    user: String,
}

/// Sets the password and writes it to standard output.
pub(crate) async fn run(arguments: PasswordArguments) -> Result<()> {
    let catalog = crate::token::open(&arguments.folder).await?;
    let password = crate::admin::one_time_password();
    let new = (password.clone(), PasswordKind::OneTime);
    catalog
        .set_password(now(), "server", &arguments.user, new)
        .await
        .with_context(|| format!("account `{}`", arguments.user))?;
    catalog.close().await;
    writeln!(std::io::stdout(), "{password}").context("writing the password")
}
