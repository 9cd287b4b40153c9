//! Where the product's binaries are: beside the program that asks.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The binary `name`, from the folder this program was built into, or from `METSUKE_BINARIES`.
///
/// # Errors
/// When it has not been built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("METSUKE_BINARIES") {
        Some(folder) => PathBuf::from(folder),
        None => own_folder()?,
    };
    let path = folder.join(name);
    if path.is_file() {
        return Ok(path);
    }
    bail!("{} is not built; run `cargo build --bins`, or use `./x`", path.display())
}

/// The folder of this program; tests lie one folder deeper, in `deps`.
fn own_folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    let folder = own.parent().context("this program lies in no folder")?;
    let folder = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    Ok(folder.context("deps lies in no folder")?.to_owned())
}
