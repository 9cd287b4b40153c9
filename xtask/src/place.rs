//! Where things are: the workspace, the target directory, the tools' cache.
//!
//! `./x` sets `CARGO_TARGET_DIR`; the same default is spelled here for `cargo xtask` called alone.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        // Cargo's word at the start first: this program may have been built in another clone.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        // The manifest's folder is `xtask/`; its parent is the root.
        manifest.parent().unwrap_or(Path::new(".")).to_owned()
    })
}

/// The folder for what can be made again: `$XDG_CACHE_HOME/metsuke` or `~/.cache/metsuke`.
pub(crate) fn cache() -> PathBuf {
    let base = env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_else(|| "/tmp".into())).join(".cache"),
        PathBuf::from,
    );
    base.join("metsuke")
}

/// The folder with the sources of the crates that are not our own.
pub(crate) fn cargo_home() -> PathBuf {
    env::var_os("CARGO_HOME").filter(|value| !value.is_empty()).map_or_else(
        || PathBuf::from(env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".cargo"),
        PathBuf::from,
    )
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .filter(|value| !value.is_empty())
        .map_or_else(|| cache().join("target"), PathBuf::from)
}

/// The folder with the product's binaries, as `build::product` leaves them.
pub(crate) fn binaries() -> PathBuf {
    target().join("debug")
}

/// The file that the log of a step goes to; made with its folder when needed.
pub(crate) fn log(name: &str) -> PathBuf {
    target().join("metsuke-logs").join(format!("{name}.log"))
}

/// Data that is shared beside the repository and never committed; `None` where there is none.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let path = env::var_os("METSUKE_SHARED_DATA")
        .map_or_else(|| root().join("../shared/data"), PathBuf::from);
    path.is_dir().then_some(path)
}
