//! The initramfs: a cpio archive in the "newc" format (Linux, `early-userspace/buffer-format`).

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::kernels::{Kernel, MODULES};
use crate::steps;

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const CHARACTERS: u32 = 0o020_600;

/// Writes the archive for `kernel`, with the programs stripped of what only debuggers need.
pub(super) fn write(path: &Path, kernel: &Kernel, guest: &Path, sensor: &Path) -> Result<()> {
    let mut archive = Archive::default();
    for folder in ["dev", "proc", "sys", "tmp", "modules", "rows"] {
        archive.add(folder, FOLDER, &[]);
    }
    archive.add_device("dev/console", (5, 1));
    let guest = stripped(guest)?;
    archive.add("init", PROGRAM, &guest);
    archive.add("guest", PROGRAM, &guest);
    archive.add("sensor", PROGRAM, &stripped(sensor)?);
    for module in MODULES {
        let name = format!("{module}.ko");
        archive.add(&format!("modules/{name}"), FILE, &fs::read(kernel.modules.join(&name))?);
    }
    archive.add("modules/dummy.ko.xz", FILE, &compressed(&kernel.modules.join("dummy.ko"))?);
    fs::write(path, archive.end()).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes `program` to `target` without what only debuggers need.
pub(super) fn strip(program: &Path, target: &Path) -> Result<()> {
    let mut command = Command::new("strip");
    steps::step("strip a program", command.arg("-o").arg(target).arg(program))
}

fn stripped(program: &Path) -> Result<Vec<u8>> {
    let target = program.with_extension("stripped");
    strip(program, &target)?;
    fs::read(&target).with_context(|| format!("cannot read {}", target.display()))
}

/// As the kernel's own decompressor wants it (Linux, `staging/xz`): no check but CRC32.
fn compressed(module: &Path) -> Result<Vec<u8>> {
    let mut command = Command::new("xz");
    let output = command.args(["--check=crc32", "--stdout", "--keep"]).arg(module).output();
    let output = output.context("xz cannot be run; install xz-utils")?;
    anyhow::ensure!(output.status.success(), "xz: {}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

#[derive(Debug, Default)]
struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    fn add(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entry(name, mode, content, (0, 0));
    }

    fn add_device(&mut self, name: &str, number: (u32, u32)) {
        self.entry(name, CHARACTERS, &[], number);
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8], device: (u32, u32)) {
        self.entries += 1;
        // An archive of ours is far below what its format can count.
        let length = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let fields = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            length(content.len()),
            0,
            0,
            device.0,
            device.1,
            length(name.len() + 1),
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").into_bytes());
        }
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Archive, FILE};

    #[test]
    fn entries_lie_at_multiples_of_four() {
        for content in ["", "x", "four", "fives"] {
            let mut archive = Archive::default();
            archive.add("name", FILE, content.as_bytes());
            assert_eq!(archive.bytes.len() % 4, 0);
            let header = std::str::from_utf8(&archive.bytes[..110]).unwrap();
            assert!(header.starts_with("07070100000001000081a4"), "{header}");
            let size = format!("{:08x}", content.len());
            assert_eq!(&header[54..62], size);
            assert_eq!(&archive.bytes[116..116 + content.len()], content.as_bytes());
        }
    }
}
