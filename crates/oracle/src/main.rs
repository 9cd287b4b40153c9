//! `metsuke-oracle differ|bench`: see the README.

mod bench;
mod data;
mod differ;
mod reference;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let data = data::folder()?;
    match std::env::args().nth(1).as_deref() {
        Some("differ") => differ::main(&data),
        Some("bench") => bench::main(&data),
        _ => bail!("say `metsuke-oracle differ` or `metsuke-oracle bench`"),
    }
}
