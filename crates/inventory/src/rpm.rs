//! Packages of rpm(8), asked of the program itself, and only where it and its database are.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use metsuke_event::inventory::Package;

use crate::dpkg::PACKAGES_MAX;

/// Where its database may be.
const DATABASES: [&str; 2] = ["var/lib/rpm", "usr/lib/sysimage/rpm"];
/// One package a line: name, version, architecture.
const FORMAT: &str = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\t%{ARCH}\\n";
/// How long it may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Most bytes read of it.
const OUTPUT_MAX: u64 = 16 << 20;

/// Whether `root` has a database of rpm.
pub(crate) fn is_there(root: &Path) -> bool {
    DATABASES.iter().any(|place| {
        let files = ["Packages", "rpmdb.sqlite", "Packages.db"];
        files.iter().any(|file| root.join(place).join(file).exists())
    })
}

/// Packages out of its output.
pub(crate) fn parse(text: &str) -> Vec<Package> {
    let package = |line: &str| {
        let mut fields = line.split('\t').map(str::to_owned);
        let (name, version, arch) = (fields.next()?, fields.next()?, fields.next()?);
        // Keys of signers are no packages.
        (name != "gpg-pubkey").then(|| Package { name, version, arch, manager: "rpm".to_owned() })
    };
    text.lines().take(PACKAGES_MAX).filter_map(package).collect()
}

/// The packages, or why they cannot be had.
pub(crate) fn packages(root: &Path) -> Result<Vec<Package>, String> {
    let program = ["/usr/bin/rpm", "/bin/rpm"].into_iter().find(|path| Path::new(path).exists());
    let program = program.ok_or("there is a database of rpm, and no rpm to read it")?;
    let told = |error: std::io::Error| format!("{program}: {error}");
    let mut child = Command::new(program)
        .env_clear()
        .arg("--root")
        .arg(root)
        .args(["-qa", "--qf", FORMAT])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(told)?;
    let Some(out) = child.stdout.take() else { return Err(format!("{program}: no output")) };
    // Read elsewhere: a program that hangs must not hold this thread.
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        out.take(OUTPUT_MAX).read_to_end(&mut text).map(|_| text)
    });
    let until = Instant::now() + PATIENCE;
    while !reader.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    if !reader.is_finished() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(format!("{program} did not answer within {} s", PATIENCE.as_secs()));
    }
    // It may still wait for somebody to read beyond the bound.
    let _ = child.kill();
    let _ = child.wait();
    let text = reader.join().map_err(|_| "reading rpm broke down".to_owned())?.map_err(told)?;
    Ok(parse(&String::from_utf8_lossy(&text)))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn lines_are_packages_but_for_keys() {
        let found = parse(
            "bash\t5.1.8-9.el9\tx86_64\ngpg-pubkey\t1-2\t(none)\nodd line\nvim\t2:9-1\tx86_64\n",
        );
        let names: Vec<_> = found.iter().map(|p| (p.name.as_str(), p.version.as_str())).collect();
        assert_eq!(names, [("bash", "5.1.8-9.el9"), ("vim", "2:9-1")]);
    }
}
