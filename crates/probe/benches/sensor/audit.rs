//! The same work under Linux' own audit with its daemon, for comparison.
//!
//! Only processes with a login id of the bench's own are audited. What was set before is set again
//! at the end: rules are taken away one by one, never all of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The login id that the work runs with; no user's.
pub(crate) const LOGIN: &str = "4242424";
const ONLY: &str = "auid=4242424";
/// What is audited: executions, their beginning and end, files opened, connections. Audit cannot tell
/// files opened to be written from others except below watched paths, so each opening is recorded.
const RULES: [&str; 4] = [
    "execve,execveat",
    "clone,clone3,fork,vfork,exit_group",
    "open,openat,openat2,creat",
    "connect,accept4",
];
/// Records the kernel keeps for the daemon; its own 64 would be lost at once.
const BACKLOG: &str = "8192";
/// How long the daemon gets to register itself with the kernel, and to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the daemon may take to write what a run left it.
const QUIET: Duration = Duration::from_secs(60);

/// Audit at work, until it is dropped.
pub(crate) struct Audit {
    daemon: Child,
    /// The kernel's thread that hands records over.
    kernel: u32,
    dir: PathBuf,
    before: Settings,
}

struct Settings {
    enabled: String,
    backlog: String,
}

impl Audit {
    /// Starts the daemon with settings and log in a folder of its own.
    ///
    /// # Errors
    ///
    /// Says why audit is not to be had: not installed, held by another daemon, locked, refused.
    pub(crate) fn start() -> Result<Self, String> {
        let before = Settings { enabled: status("enabled")?, backlog: status("backlog_limit")? };
        if before.enabled == "2" {
            return Err("audit's settings are locked".to_owned());
        }
        if status("pid")? != "0" {
            return Err("another audit daemon runs".to_owned());
        }
        let kernel = kernel_thread().ok_or("no kernel thread named kauditd is seen")?;
        let dir = std::env::temp_dir().join(format!("metsuke-bench-audit-{}", std::process::id()));
        fs::create_dir_all(dir.join("plugins")).map_err(|error| error.to_string())?;
        let settings = format!(
            "log_file = {0}/log\nlog_format = RAW\nflush = INCREMENTAL_ASYNC\nfreq = 50\n\
             max_log_file = 64\nnum_logs = 2\nmax_log_file_action = ROTATE\nplugin_dir = {0}/plugins\n\
             space_left = 2\nadmin_space_left = 1\nspace_left_action = IGNORE\n\
             admin_space_left_action = IGNORE\ndisk_full_action = IGNORE\ndisk_error_action = IGNORE\n",
            dir.display()
        );
        fs::write(dir.join("auditd.conf"), settings).map_err(|error| error.to_string())?;
        let daemon = Command::new("auditd")
            .args(["-n", "-s", "enable", "-c"])
            .arg(&dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("auditd: {error}"))?;
        let audit = Self { daemon, kernel, dir, before };
        audit.ready()?;
        auditctl(&["-b", BACKLOG])?;
        for rule in RULES {
            auditctl(&arguments("-a", rule))?;
        }
        Ok(audit)
    }

    fn ready(&self) -> Result<(), String> {
        let since = Instant::now();
        while status("pid")? != self.daemon.id().to_string() {
            if since.elapsed() > PATIENCE {
                return Err("auditd did not register with the kernel".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// CPU nanoseconds of the daemon and of the kernel's thread up to now.
    pub(crate) fn spent(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.daemon.id())).unwrap();
        let daemon: f64 = tasks.map(|task| ran(&task.unwrap().path())).sum();
        daemon + ran(Path::new(&format!("/proc/{}", self.kernel)))
    }

    /// Waits until no record waits to be handed over and the log grows no more; gives its bytes.
    pub(crate) fn settle(&self) -> u64 {
        let since = Instant::now();
        let (mut before, mut written) = (u64::MAX, self.written());
        while status("backlog").unwrap() != "0" || written != before {
            assert!(since.elapsed() < QUIET, "auditd does not come to rest");
            std::thread::sleep(Duration::from_millis(100));
            (before, written) = (written, self.written());
        }
        written
    }

    fn written(&self) -> u64 {
        let logs = fs::read_dir(&self.dir).unwrap().flatten();
        logs.filter(|log| log.file_name().to_string_lossy().starts_with("log"))
            .map(|log| log.metadata().unwrap().len())
            .sum()
    }

    /// Records the kernel had to drop since it started.
    pub(crate) fn lost() -> u64 {
        status("lost").unwrap().parse().unwrap()
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        for rule in RULES {
            report(auditctl(&arguments("-d", rule)));
        }
        report(auditctl(&["-e", &self.before.enabled]));
        report(auditctl(&["-b", &self.before.backlog]));
        // SAFETY: the child is ours and has not been waited for, so the number is still its own.
        unsafe {
            libc::kill(self.daemon.id().cast_signed(), libc::SIGTERM);
        }
        report(self.daemon.wait().map(drop).map_err(|error| error.to_string()));
        report(fs::remove_dir_all(&self.dir).map_err(|error| error.to_string()));
    }
}

/// Of what is put back at the end: what failed is said, and the rest goes on.
fn report(outcome: Result<(), String>) {
    if let Err(error) = outcome {
        eprintln!("the audit of the bench was not undone in full: {error}");
    }
}

fn arguments<'a>(change: &'a str, calls: &'a str) -> Vec<&'a str> {
    vec![change, "always,exit", "-F", "arch=b64", "-S", calls, "-F", ONLY]
}

fn auditctl(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("auditctl")
        .args(arguments)
        .output()
        .map_err(|error| format!("auditctl: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("auditctl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
}

/// One line of the kernel's own account of audit.
fn status(name: &str) -> Result<String, String> {
    let output = Command::new("auditctl")
        .arg("-s")
        .output()
        .map_err(|error| format!("auditctl: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim().to_owned())
        .ok_or_else(|| format!("auditctl -s says no {name}"))
}

fn kernel_thread() -> Option<u32> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        (fs::read_to_string(entry.path().join("comm")).ok()?.trim() == "kauditd").then_some(pid)
    })
}

/// Nanoseconds a task has run, as the scheduler counts them.
fn ran(task: &Path) -> f64 {
    let text = fs::read_to_string(task.join("schedstat")).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
