//! `metsuke-server token`: enrolment tokens without a running server, or beside one.

use std::io::Write;

use anyhow::{Context, Result};
use metsuke_catalog::Catalog;
use metsuke_catalog::clock::now;

use crate::DataFolder;

/// How long a token is good unless said otherwise: a day.
const TTL_S: u32 = 24 * 3_600;
/// Most tokens made at once.
const MAX_TOKENS: u16 = 1_000;

/// Arguments of `token`.
#[derive(Debug, clap::Args)]
pub(crate) struct TokenArguments {
    #[command(flatten)]
    folder: DataFolder,
    /// How many.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_TOKENS)))]
    count: u16,
    /// How long they are good, in seconds.
    #[arg(long, default_value_t = TTL_S)]
    ttl_s: u32,
}

/// Opens the catalog of a server that was started before.
pub(crate) async fn open(folder: &DataFolder) -> Result<Catalog> {
    let path = folder.data.join("catalog.db");
    anyhow::ensure!(
        path.exists(),
        "{} holds no server's data; start `metsuke-server run` there first",
        folder.data.display()
    );
    Ok(Catalog::open(&path).await?)
}

/// Makes tokens and writes them to standard output.
pub(crate) async fn run(arguments: TokenArguments) -> Result<()> {
    let catalog = open(&arguments.folder).await?;
    let ttl_nanos = i64::from(arguments.ttl_s) * 1_000_000_000;
    for _ in 0..arguments.count {
        let made = catalog.create_enrolment_token(now(), "server", ttl_nanos).await?;
        writeln!(std::io::stdout(), "{}", made.secret).context("writing the token")?;
    }
    catalog.close().await;
    Ok(())
}
