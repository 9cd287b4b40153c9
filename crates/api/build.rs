//! Brings the console's built files to where the library embeds them from. Runs no other program
//! and needs no network: without a built console a placeholder page stands in.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const PLACEHOLDER: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<title>Metsuke</title></head><body><h1>Metsuke</h1><p>The console was not built into this server. \
Build it with <code>./x run</code>, or <code>npm ci &amp;&amp; npm run build</code> in \
<code>console/</code>, then build the server again. The API answers under <code>/api/v1</code>.\
</p></body></html>\n";

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=CONSOLE_DIST");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dist =
        env::var_os("CONSOLE_DIST").map_or_else(|| root.join("../../console/dist"), PathBuf::from);
    println!("cargo::rerun-if-changed={}", dist.join("index.html").display());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("console");
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    if dist.join("index.html").is_file() {
        return copy(&dist, &out);
    }
    println!("cargo::warning=the console is not built; a placeholder page is embedded");
    fs::create_dir_all(&out)?;
    fs::write(out.join("index.html"), PLACEHOLDER)
}
