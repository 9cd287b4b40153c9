//! A small disk that fills up: a tmpfs in a mount namespace that only the started process sees.
//!
//! The process is reached from outside through `/proc/PID/root`, so a test can fill the disk and
//! make room again while it runs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A command that mounts a tmpfs of `bytes` at `place` in a namespace of its own, copies what lies
/// in `content` there, and then becomes `program`, with the same process id. `place` must exist;
/// `content` may be `place` itself, as it was before the mount.
pub fn command(
    place: &Path,
    bytes: u64,
    content: Option<&Path>,
    program: impl AsRef<OsStr>,
) -> Command {
    // The shell keeps the covered folder as its working directory, so it can still be copied.
    const SCRIPT: &str = r#"
        [ -z "$2" ] || cd "$2" || exit 97
        mount -t tmpfs -o "size=$1,mode=700" metsuke-small "$0" || exit 98
        [ -z "$2" ] || cp -a . "$0" || exit 99
        cd / && shift 2 && exec "$@""#;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "--", "/bin/sh", "-c", SCRIPT])
        .arg(place)
        .arg(bytes.to_string())
        .arg(content.unwrap_or(Path::new("")))
        .arg(program);
    command
}

/// `place` as the process `pid` sees it.
pub fn seen_by(pid: u32, place: &Path) -> PathBuf {
    let inner = place.strip_prefix("/").unwrap_or(place);
    Path::new("/proc").join(pid.to_string()).join("root").join(inner)
}

/// Fills `folder` until the kernel says that nothing is left, and returns the file that did it.
///
/// # Errors
/// When writing ends for another reason than a full disk.
pub fn fill(folder: &Path) -> Result<PathBuf> {
    use std::io::Write;
    let path = folder.join("filler");
    let mut file = std::fs::File::create(&path)
        .with_context(|| format!("making {} to fill the disk", path.display()))?;
    // Large pieces first, then single bytes, so that not one byte is left.
    for size in [65_536_usize, 4_096, 1] {
        let piece = vec![0_u8; size];
        loop {
            match file.write_all(&piece) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                Err(error) => bail!("filling {}: {error}", folder.display()),
            }
        }
    }
    Ok(path)
}

/// Whether this machine lets us do it.
///
/// # Errors
/// When it does not.
pub fn trial() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let output =
        command(folder.path(), 1 << 16, None, "true").output().context("running unshare")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{command, fill, seen_by};
    use crate::process::Running;

    #[test]
    fn only_the_process_sees_it_and_it_fills_up() -> anyhow::Result<()> {
        crate::needs!("only_the_process_sees_it_and_it_fills_up", Root, PrivateMounts);
        let folder = tempfile::tempdir()?;
        let place = folder.path().join("disk");
        std::fs::create_dir(&place)?;
        std::fs::write(place.join("identity"), "kept")?;
        let mut sleeper = command(&place, 1 << 20, Some(&place), "sleep");
        let log = folder.path().join("log");
        let running = Running::start("sleeper", sleeper.arg("600"), &log)?;
        let inside = seen_by(running.pid(), &place);
        let limit = std::time::Duration::from_secs(10);
        crate::wait::until_true("the sleeper to have its disk", limit, || {
            let executable = std::fs::read_link(format!("/proc/{}/exe", running.pid()))?;
            Ok(executable.ends_with("sleep"))
        })?;
        let filler = fill(&inside)?;
        assert_eq!(std::fs::read_to_string(inside.join("identity"))?, "kept");
        assert!(filler.metadata()?.len() > 900_000);
        assert!(!place.join("filler").exists(), "outside it is not there");
        Ok(())
    }
}
