//! The operator's shell: one `sh` that is fed commands over a pipe and tells which processes it
//! started.
//!
//! Every external command goes through the shell function `r`, which starts it, writes a line
//! `@P <pid> <parent> <cwd> <argument>…` (tab-separated) to standard error, and waits. Standard
//! error is inherited, so scripts that the shell runs report on the same line. The function is
//! written for `dash` and `bash` alike.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::truth::ProcessTruth;

/// How long one step's commands may take; none of them waits for anything but loopback.
const STEP_LIMIT: Duration = Duration::from_mins(1);

/// Lines of standard error that may wait to be read; a step writes a few dozen.
const LINES_WAITING: usize = 4096;

/// The function `r`, as the shell reads it. A line is written by one `printf`, so that one from a
/// script that was just started cannot come in between.
pub const REPORTER: &str = "r() { \"$@\" & p=$!; l=\"@P\t$p\t$$\t$PWD\"; \
    for a in \"$@\"; do l=\"$l\t$a\"; done; printf '%s\\n' \"$l\" >&2; wait \"$p\"; c=$?; \
    [ \"$c\" = 0 ] || printf '@F\\t%s\\t%s\\n' \"$c\" \"$*\" >&2; return 0; }";

/// A running operator's shell.
#[derive(Debug)]
pub struct OperatorShell {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    /// The shell itself, as a process that was started.
    pub truth: ProcessTruth,
    searched: String,
}

/// What a step's commands reported.
#[derive(Debug, Default)]
pub struct Report {
    /// Processes started.
    pub processes: Vec<ProcessTruth>,
    /// Commands that ended with another status than 0.
    pub failures: Vec<String>,
}

impl Report {
    /// Takes one line of a shell's standard error; what is not a report is passed over.
    pub fn take(&mut self, line: &str, search: &str) {
        if let Some(at) = line.find("@P\t") {
            self.processes.extend(parse_process(&line[at + 3..], search));
        } else if let Some(at) = line.find("@F\t") {
            self.failures.push(format!("ended with status {}", line[at + 3..].replace('\t', ": ")));
        }
    }
}

fn parse_process(fields: &str, search: &str) -> Option<ProcessTruth> {
    let mut fields = fields.trim_end_matches(['\r', '\n']).split('\t');
    let pid = fields.next()?.parse().ok()?;
    let parent_pid = fields.next()?.parse().ok()?;
    let cwd = fields.next()?.to_owned();
    let argv: Vec<String> = fields.map(str::to_owned).collect();
    let exe = resolve(argv.first()?, search);
    Some(ProcessTruth { pid: Some(pid), parent_pid, argv, cwd, exe })
}

/// The file that `program` names, looked for in `search` (a `PATH`), links resolved. A script
/// resolves to its interpreter, since that is what the kernel executes.
pub fn resolve(program: &str, search: &str) -> Option<String> {
    let path = if program.contains('/') {
        Path::new(program).to_owned()
    } else {
        search.split(':').map(|folder| Path::new(folder).join(program)).find(|p| p.is_file())?
    };
    let mut start = [0_u8; 128];
    let read = std::io::Read::read(&mut std::fs::File::open(&path).ok()?, &mut start).ok()?;
    if let Some(line) = start[..read].strip_prefix(b"#!") {
        let line = String::from_utf8_lossy(line);
        let interpreter = line.lines().next()?.split_whitespace().next()?.to_owned();
        return std::fs::canonicalize(interpreter).ok()?.to_str().map(str::to_owned);
    }
    std::fs::canonicalize(path).ok()?.to_str().map(str::to_owned)
}

impl OperatorShell {
    /// Starts `sh` in `cwd` with `home` as its home and a plain environment.
    pub fn start(cwd: &Path, home: &Path) -> Result<Self> {
        let search = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
        let mut child = Command::new("/bin/sh")
            .current_dir(cwd)
            .env_clear()
            .env("PATH", &search)
            .env("HOME", home)
            .env("LANG", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting /bin/sh")?;
        let input = child.stdin.take().context("the shell has no standard input")?;
        let errors = child.stderr.take().context("the shell has no standard error")?;
        let (send, lines) = sync_channel(LINES_WAITING);
        std::thread::Builder::new().name("shell-lines".into()).spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        })?;
        let truth = ProcessTruth {
            pid: Some(child.id()),
            parent_pid: std::process::id(),
            argv: vec!["/bin/sh".into()],
            cwd: cwd.to_string_lossy().into_owned(),
            exe: resolve("/bin/sh", &search),
        };
        let mut shell = Self { child, input: Some(input), lines, truth, searched: search };
        shell.run(&[REPORTER.to_owned()])?;
        Ok(shell)
    }

    /// Runs `script` to its end and tells what it started.
    pub fn run(&mut self, script: &[String]) -> Result<Report> {
        let input = self.input.as_mut().context("the shell was closed")?;
        for line in script {
            writeln!(input, "{line}")?;
        }
        writeln!(input, "printf '@END\\n' >&2")?;
        input.flush()?;
        let mut report = Report::default();
        let end = std::time::Instant::now() + STEP_LIMIT;
        loop {
            let left = end.saturating_duration_since(std::time::Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains("@END") => return Ok(report),
                Ok(line) => report.take(&line, &self.searched),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("a step did not end within {} s", STEP_LIMIT.as_secs())
                }
                Err(RecvTimeoutError::Disconnected) => bail!("the shell ended too early"),
            }
        }
    }

    /// Ends the shell and waits for it.
    pub fn close(mut self) -> Result<()> {
        drop(self.input.take());
        let status = self.child.wait()?;
        match status.signal() {
            Some(signal) => bail!("the shell was ended by signal {signal}"),
            None => Ok(()),
        }
    }
}

impl Drop for OperatorShell {
    fn drop(&mut self) {
        drop(self.input.take());
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;
    use std::process::{Command, Stdio};

    use super::{OperatorShell, REPORTER, STEP_LIMIT};

    #[test]
    fn a_shell_reports_what_it_started_and_what_failed() {
        let folder = tempfile::tempdir().expect("temp dir");
        let mut shell = OperatorShell::start(folder.path(), folder.path()).expect("starts");
        let report = shell
            .run(&["r id -u > out".into(), "r sh -c 'exit 3'".into(), "r true 'a b'".into()])
            .expect("runs");
        let argv: Vec<_> = report.processes.iter().map(|p| p.argv.join("|")).collect();
        assert_eq!(argv, ["id|-u", "sh|-c|exit 3", "true|a b"]);
        assert_eq!(report.failures, ["ended with status 3: sh -c exit 3"]);
        assert!(report.processes.iter().all(|p| Some(p.parent_pid) == shell.truth.pid));
        assert!(folder.path().join("out").exists());
        shell.close().expect("closes");
    }

    /// A datagram socket keeps writes apart: what comes in one piece was written in one piece.
    #[test]
    fn a_report_is_one_write() {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair of sockets");
        ours.set_read_timeout(Some(STEP_LIMIT)).expect("set");
        let ended = Command::new("/bin/sh")
            .args(["-c", &format!("{REPORTER}\nr true 'a b' c")])
            .stderr(Stdio::from(OwnedFd::from(theirs)))
            .status()
            .expect("runs");
        assert!(ended.success());
        let mut piece = [0; 4096];
        let length = ours.recv(&mut piece).expect("a report");
        let line = String::from_utf8_lossy(&piece[..length]);
        assert!(line.starts_with("@P\t") && line.ends_with("\ttrue\ta b\tc\n"), "{line:?}");
    }
}
