//! Where the server is and who we are there: `$XDG_CONFIG_HOME/metsuke/config.json`, mode 0600.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// What is kept between commands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// Server, `http://host:port` or `https://host:port`.
    pub(crate) url: String,
    /// Bearer token.
    pub(crate) token: String,
}

/// The file's place.
pub(crate) fn path() -> Result<PathBuf, Failure> {
    let base = std::env::var_os("XDG_CONFIG_HOME").filter(|value| !value.is_empty());
    base.map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".config")))
        .map(|base| base.join("metsuke/config.json"))
        .ok_or_else(|| Failure::Usage("no home folder is known; set XDG_CONFIG_HOME".to_owned()))
}

/// What is kept, or `None` before the first sign-in. A file that others can read is refused.
pub(crate) fn load(path: &Path) -> Result<Option<Config>, Failure> {
    let local = |source| Failure::Local { doing: format!("reading {}", path.display()), source };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(local(error)),
    };
    let mode = fs::metadata(path).map_err(local)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Failure::NotAllowed(format!(
            "{} holds a token and can be read by others (mode {:o}); run `chmod 600` on it",
            path.display(),
            mode & 0o777
        )));
    }
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Failure::Usage(format!("{} is not what `metsuke login` writes: {error}", path.display()))
    })
}

/// Keeps `config`, readable by its owner alone from the first byte on.
pub(crate) fn save(path: &Path, config: &Config) -> Result<(), Failure> {
    let local = |source| Failure::Local { doing: format!("writing {}", path.display()), source };
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(local)?;
    }
    let fresh = path.with_extension("json.new");
    let _ = fs::remove_file(&fresh);
    let mut file =
        fs::File::options().write(true).create_new(true).mode(0o600).open(&fresh).map_err(local)?;
    let text = serde_json::to_vec_pretty(config).map_err(|error| local(error.into()))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(local)?;
    fs::rename(&fresh, path).map_err(local)
}

#[cfg(test)]
mod tests {
    use super::{Config, load, save};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("deep/config.json");
        assert!(load(&path).expect("nothing is no error").is_none());
        let config = Config { url: "http://127.0.0.1:1".into(), token: "t".into() };
        save(&path, &config).expect("saves");
        save(&path, &config).expect("saves again");
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(load(&path).expect("loads") == Some(config));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        assert!(load(&path).is_err(), "a token that others can read is refused");
    }
}
