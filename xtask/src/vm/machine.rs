//! One virtual machine: started, listened to, ended.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Told;
use super::debian::Debian;
use super::kernels::Kernel;
use crate::{place, steps};

/// How long a machine may take. It takes a minute when it has a processor to itself, some more when not.
const LIMIT: Duration = Duration::from_secs(1_200);
/// How long the one with systemd may take. It takes six minutes when it has two processors, and took
/// 16 beside others that compiled.
const LONG_LIMIT: Duration = Duration::from_secs(3_600);
/// Longest line that is kept, in bytes: the sensor's report is one.
const LINE_MAX: usize = 256 << 10;
/// Lines of a machine's own words that are shown when something failed.
pub(super) const SHOWN: usize = 40;
/// Lines of them that are kept.
const KEPT: usize = 2_000;

/// Ended with the value, whatever happens.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // It has ended by itself when all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots `kernel` with `image` and listens until the machine ends, or its time is over.
pub(super) fn run(kernel: &Kernel, image: &Path) -> Result<Told> {
    steps::say(&format!("Linux {} in a virtual machine", kernel.name));
    let mut command = Command::new("qemu-system-x86_64");
    command
        // Debian's 6.12 does not come up with cmpxchg16b emulated.
        .args(["-M", "pc", "-accel", "tcg", "-cpu", "max,-cx16", "-m", "1G", "-smp", "1"])
        .args(["-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(image)
        .args([
            "-append",
            "console=ttyS0 quiet panic=-1 lsm=lockdown,capability,landlock,yama,bpf",
        ]);
    hear(&mut command, &format!("vm-{}", kernel.name), LIMIT)
}

/// Boots the Debian with `payload` as its second disk; with a word only cases that hold it run.
pub(super) fn run_debian(debian: &Debian, payload: &Path, only: Option<&str>) -> Result<Told> {
    steps::say("a Debian with systemd in a virtual machine");
    let drive = |path: &Path, more: &str| {
        // A comma in an option is written twice.
        let path = path.display().to_string().replace(',', ",,");
        format!("file={path},format=raw,if=virtio,{more}")
    };
    let console = place::log("vm-debian-console");
    if let Some(folder) = console.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut command = Command::new("qemu-system-x86_64");
    command
        .args(["-M", "pc", "-accel", "tcg,thread=multi", "-cpu", "max,-cx16", "-m", "2G"])
        .args(["-smp", "2", "-nodefaults", "-nographic", "-no-reboot"])
        // The kernel and systemd speak on the first, the suite on the second.
        .args(["-serial", &format!("file:{}", console.display()), "-serial", "stdio"])
        .args(["-drive", &drive(&debian.disk, "snapshot=on")])
        .args(["-drive", &drive(payload, "readonly=on")])
        .arg("-kernel")
        .arg(&debian.kernel)
        .arg("-initrd")
        .arg(&debian.initrd)
        .arg("-append")
        .arg(format!(
            "root=/dev/vda rw console=ttyS0 panic=-1 quiet fsck.mode=skip \
             lsm=lockdown,capability,landlock,yama,bpf{}",
            only.map(|word| format!(" metsuke.only={word}")).unwrap_or_default()
        ));
    hear(&mut command, "vm-debian", LONG_LIMIT)
}

/// Starts a machine and listens until it ends, or its time is over.
fn hear(command: &mut Command, log: &str, limit: Duration) -> Result<Told> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut machine = Machine(command.spawn().context("cannot start qemu-system-x86_64")?);
    let out = machine.0.stdout.take().context("the machine has no console")?;
    let (sender, lines) = mpsc::sync_channel(256);
    std::thread::spawn(move || {
        for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line[..line.len().min(LINE_MAX)]).into_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let told = listen(&lines, Instant::now() + limit);
    let log = place::log(log);
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(log, told.other.join("\n"))?;
    Ok(told)
}

fn listen(lines: &Receiver<String>, end: Instant) -> Told {
    let mut told = Told::default();
    loop {
        let left = end.saturating_duration_since(Instant::now());
        match lines.recv_timeout(left) {
            Ok(line) => heard(&mut told, &line),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    told
}

/// The kernel speaks on the same console, so a mark may stand behind its words.
fn heard(told: &mut Told, line: &str) {
    let line = line.trim_end();
    let marked = |mark: &str| line.split_once(mark).map(|(_, rest)| rest.trim_start());
    if let Some(case) = marked("METSUKE-CASE ").and_then(case) {
        told.cases.push(case);
    } else if let Some(Ok(row)) = marked("METSUKE-ROW ").map(serde_json::from_str) {
        told.rows.push(row);
    } else if let Some(Ok(report)) = marked("METSUKE-PROBE ").map(serde_json::from_str) {
        told.probe = Some(report);
    } else if line.ends_with("METSUKE-END") {
        told.ended = true;
    } else if told.other.len() < KEPT {
        told.other.push(line.to_owned());
    }
}

fn case(text: &str) -> Option<(String, Option<String>)> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    let name = json.get("name")?.as_str()?.to_owned();
    let why = json.get("why")?.as_str()?.to_owned();
    let failed = json.get("outcome")?.as_str()? != "pass";
    Some((name, failed.then_some(why)))
}

#[cfg(test)]
mod tests {
    use super::{Told, heard};

    #[test]
    fn results_are_told_from_the_kernels_words() {
        let mut told = Told::default();
        for line in [
            "[    1.2] Linux version\r",
            r#"[    2.0] x METSUKE-CASE {"name":"a","outcome":"pass","why":""}"#,
            r#"METSUKE-CASE {"name":"b","outcome":"fail","why":"no"}"#,
            r#"METSUKE-CASE {"name":"torn"#,
            r#"METSUKE-PROBE {"tier":"lsm"}"#,
            "METSUKE-END\r",
        ] {
            heard(&mut told, line);
        }
        let cases = [("a".to_owned(), None), ("b".to_owned(), Some("no".to_owned()))];
        assert_eq!(told.cases, cases);
        assert!(told.ended && told.probe.is_some());
        assert_eq!(told.other.len(), 2);
    }
}
