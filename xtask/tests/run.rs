//! `./x run` as a person on a terminal sees it: with stand-ins for server and sensor, which note
//! how they are treated. The terminal is one of `script` (util-linux), so Ctrl-C is the real one.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use metsuke_testkit::{not_run, wait};

/// For anything that waits, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Notes who it is and how it is ended; `$3` is its folder. Both end with the test's folder.
const SERVER: &str = r#"#!/bin/sh
trap 'echo "server ended by TERM" >>"$JOURNAL"; exit 0' TERM
trap 'echo "server ended by INT" >>"$JOURNAL"; exit 1' INT HUP
printf '{"console_url":"http://%s","link_addr":"127.0.0.1:1","ca_fingerprint":"f","pid":%d}' \
    "$API" $$ >"$3/ready.new"
mv "$3/ready.new" "$3/ready.json"
echo "server $$" >>"$JOURNAL"
while [ -e "$JOURNAL" ] && [ ! -e "$JOURNAL.server-dies" ]; do sleep 0.05; done
exit 9
"#;

const SENSOR: &str = r#"#!/bin/sh
if [ "$1" = status ]; then
    echo '{"endpoint":"e","status":{"enforcement":"it only watches"}}'
    exit 0
fi
trap 'echo "sensor ended by TERM" >>"$JOURNAL"; exit "${SENSOR_CODE:-0}"' TERM
trap 'echo "sensor ended by INT" >>"$JOURNAL"; exit 1' INT HUP
echo "sensor $$" >>"$JOURNAL"
while [ -e "$JOURNAL" ]; do sleep 0.05; done
"#;

/// One `./x run` on a terminal of its own.
struct Run {
    child: Child,
    keyboard: ChildStdin,
    screen: Arc<Mutex<String>>,
    journal: PathBuf,
    _folder: tempfile::TempDir,
}

impl Run {
    fn start(sensor_code: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for (name, text) in [("metsuke-server", SERVER), ("metsuke-sensor", SENSOR)] {
            let path = folder.path().join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        }
        let journal = folder.path().join("journal");
        let data = folder.path().join("data");
        let run = format!("exec '{}' run --data '{}'", env!("CARGO_BIN_EXE_xtask"), data.display());
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &run, "/dev/null"])
            .env("METSUKE_BINARIES", folder.path())
            .env("JOURNAL", &journal)
            .env("API", api()?)
            .env("SENSOR_CODE", sensor_code)
            .env("TERM", "xterm")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let keyboard = child.stdin.take().context("a keyboard")?;
        let mut output = child.stdout.take().context("a screen")?;
        let screen = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
                seen.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Ok(Self { child, keyboard, screen, journal, _folder: folder })
    }

    fn screen(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wait_for(&self, text: &str) -> Result<()> {
        wait::until_true(&format!("{text:?} on the screen"), PATIENCE, || {
            Ok(self.screen().contains(text))
        })
        .with_context(|| format!("the screen shows:\n{}", self.screen()))
    }

    fn ended(&mut self) -> Result<ExitStatus> {
        let child = &mut self.child;
        wait::until("the run to end", PATIENCE, || Ok(child.try_wait()?))
            .with_context(|| format!("the screen shows:\n{}", self.screen()))
    }

    fn journal(&self) -> Vec<String> {
        fs::read_to_string(&self.journal).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Checks that both were ended in order, by us alone, and are gone.
    fn both_were_stopped(&self) -> Result<()> {
        let notes = self.journal();
        ensure!(notes[2..] == ["sensor ended by TERM", "server ended by TERM"], "{notes:?}");
        for note in &notes[..2] {
            let pid = note.split(' ').nth(1).context("a process id")?;
            ensure!(!Path::new("/proc").join(pid).exists(), "{note} still runs");
        }
        Ok(())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // A run that failed its test must leave nothing; the stand-ins end with `./x run`.
        let _ = self.keyboard.write_all(b"\x03");
        let _ = self.ended();
        let _ = self.child.kill();
    }
}

/// The little of the API that is asked; its address.
fn api() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream);
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains("\r\n\r\n") {
        let read = stream.read(&mut buffer)?;
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    let body = match text.split(' ').nth(1) {
        Some("/api/v1/endpoints/e") => {
            r#"{"id":"e","host":"h","status":"online","tier":3,"degraded":["x"],
                "coverage":{"blind":[],"hooks":[],"sees":[]},"health":{"events_total":7}}"#
        }
        Some("/api/v1/overview") => r#"{"alerts":{"open":5}}"#,
        _ => r#"{"token":"t"}"#,
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Whether `script` is here; the test says so when it is not.
fn has_terminal(test: &str) -> bool {
    let has = Command::new("script").arg("--version").output().is_ok();
    if !has {
        not_run::not_run(test, "no `script` (package bsdutils) to get a terminal from");
    }
    has
}

#[test]
fn ctrl_c_drains_and_stops_both_in_order() -> Result<()> {
    if !has_terminal("ctrl_c_drains_and_stops_both_in_order") {
        return Ok(());
    }
    let mut run = Run::start("0")?;
    run.wait_for("7 activities")?;
    run.wait_for("5 open alerts")?;
    assert!(run.screen().contains("responses  none: it only watches"), "{}", run.screen());
    run.keyboard.write_all(b"\x03")?;
    let status = run.ended()?;
    assert!(status.success(), "{status}: {}", run.screen());
    run.both_were_stopped()?;
    let screen = run.screen();
    assert_eq!(screen.matches("\x1b[?7l").count(), screen.matches("\x1b[?7h").count());
    assert!(screen.ends_with('\n'), "the next prompt begins a line: {screen:?}");
    Ok(())
}

#[test]
fn a_terminal_that_goes_away_stops_both_too() -> Result<()> {
    if !has_terminal("a_terminal_that_goes_away_stops_both_too") {
        return Ok(());
    }
    let mut run = Run::start("0")?;
    run.wait_for("7 activities")?;
    run.child.kill()?;
    wait::until_true("both to end", PATIENCE, || Ok(run.journal().len() == 4))?;
    wait::until_true("both to be gone", PATIENCE, || Ok(run.both_were_stopped().is_ok()))
}

#[test]
fn a_program_that_ends_badly_is_told_and_the_other_is_stopped() -> Result<()> {
    if !has_terminal("a_program_that_ends_badly_is_told_and_the_other_is_stopped") {
        return Ok(());
    }
    let mut run = Run::start("3")?;
    run.wait_for("7 activities")?;
    run.keyboard.write_all(b"\x03")?;
    assert_eq!(run.ended()?.code(), Some(1), "{}", run.screen());
    run.both_were_stopped()?;
    run.wait_for("metsuke-sensor ended with exit status: 3")?;

    let mut run = Run::start("0")?;
    run.wait_for("7 activities")?;
    fs::write(run.journal.with_extension("server-dies"), "")?;
    assert_eq!(run.ended()?.code(), Some(1), "{}", run.screen());
    run.wait_for("metsuke-server ended with exit status: 9")?;
    assert_eq!(run.journal().last().map(String::as_str), Some("sensor ended by TERM"));
    Ok(())
}
