//! Progress for people: each long thing is a step with a name, a spinner's worth of signs of life
//! and a closing line with its time.
//!
//! On a terminal a running step shows its last line of output in place; without one (CI, a pipe)
//! it prints a line every half minute, so nobody takes it for dead. The whole output of a step
//! goes to a log file, and to the terminal when the step fails.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::place;

/// How often a step says that it is alive where no terminal shows it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// How often the line of a running step is drawn on a terminal.
const REDRAW: Duration = Duration::from_millis(200);
/// Lines of a failed step's output that are shown; the log has all.
const SHOWN_LINES: usize = 60;
/// Bytes of one line that are shown.
const SHOWN_BYTES: usize = 4096;

/// Runs `command` as the step called `title`; fails when it does, after showing how it ended.
///
/// # Errors
/// The command cannot be started, or ended with anything but 0.
pub(crate) fn step(title: &str, command: &mut Command) -> Result<()> {
    watch(title, command, |_| {}).map(drop)
}

/// Like [`step`], and hands every line of output (both streams) to `each`.
///
/// # Errors
/// As for [`step`].
pub(crate) fn watch(
    title: &str,
    command: &mut Command,
    each: impl FnMut(&str),
) -> Result<Duration> {
    let (status, log, took) = follow(title, command, each)?;
    if !status.success() {
        show_end(&log)?;
        bail!(
            "{title}: {} ended with {status}; the whole output is in {}",
            shown(command),
            log.display()
        );
    }
    Ok(took)
}

/// Like [`watch`], but leaves the judgement of the exit status to the caller and shows nothing
/// when it failed: for test runners, whose output `each` has already dealt with.
///
/// # Errors
/// The command cannot be started.
pub(crate) fn follow(
    title: &str,
    command: &mut Command,
    mut each: impl FnMut(&str),
) -> Result<(ExitStatus, PathBuf, Duration)> {
    let start = Instant::now();
    let (log, mut file) = open_log(title)?;
    writeln!(file, "$ {}", shown(command))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| {
            format!("cannot start {}; is it installed? `./x doctor` tells", shown(command))
        })?;
    let lines = lines_of(child.stdout.take(), child.stderr.take());
    let mut line = StatusLine::new(title);
    loop {
        match lines.recv_timeout(REDRAW) {
            Ok(text) => {
                writeln!(file, "{text}")?;
                text.trim().clone_into(&mut line.last);
                each(&text);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        line.draw(start);
    }
    let status = child.wait()?;
    line.finish(start, status);
    Ok((status, log, start.elapsed()))
}

/// Runs `command` and gives its standard output; standard error goes to the terminal.
///
/// # Errors
/// The command cannot be started, or ended with anything but 0.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let out = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !out.status.success() {
        bail!("{} ended with {}", shown(command), out.status);
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// A plain line about what goes on.
pub(crate) fn say(text: &str) {
    put(&format!("    {text}\n"));
}

/// A line as it is, for what is laid out by its caller.
pub(crate) fn line(text: &str) {
    put(&format!("{text}\n"));
}

/// Whether there are eyes for a line that is drawn again and again.
pub(crate) fn has_terminal() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
}

/// Draws `text` in place of the present line. The terminal cuts what is too long for it: a second
/// row could not be drawn over.
pub(crate) fn redraw(text: &str) {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    put(&format!("\r\x1b[2K\x1b[?7l{text}\x1b[?7h"));
}

/// Leaves a line that was drawn in place.
pub(crate) fn end_line() {
    put("\n");
}

/// Standard output may be gone, with its terminal or pipe; what was started is stopped all the
/// same, so this is no reason to panic as `println!` does.
fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

fn open_log(title: &str) -> Result<(PathBuf, File)> {
    let name: String = title
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let path = place::log(&name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok((path, file))
}

fn show_end(log: &std::path::Path) -> Result<()> {
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    let lines: Vec<_> = text.lines().collect();
    for line in &lines[lines.len().saturating_sub(SHOWN_LINES)..] {
        eprintln!("    | {}", cut(line, SHOWN_BYTES));
    }
    Ok(())
}

fn cut(text: &str, limit: usize) -> &str {
    let mut end = limit.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Both streams' lines, in the order they arrive. Bounded: a reader that falls behind slows the
/// command down instead of filling memory.
fn lines_of(
    stdout: Option<impl Read + Send + 'static>,
    stderr: Option<impl Read + Send + 'static>,
) -> Receiver<String> {
    let (sender, lines) = mpsc::sync_channel(1024);
    let spawn = |stream: Box<dyn Read + Send>| {
        let sender = sender.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut bytes = Vec::new();
            while reader.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
                let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                bytes.clear();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    };
    if let Some(stream) = stdout {
        spawn(Box::new(stream));
    }
    if let Some(stream) = stderr {
        spawn(Box::new(stream));
    }
    lines
}

/// The line of a running step.
struct StatusLine {
    title: String,
    last: String,
    spoken: Instant,
    terminal: bool,
}

impl StatusLine {
    fn new(title: &str) -> Self {
        let terminal = has_terminal();
        if !terminal {
            put(&format!("... {title}\n"));
        }
        Self { title: title.to_owned(), last: String::new(), spoken: Instant::now(), terminal }
    }

    fn draw(&mut self, start: Instant) {
        let interval = if self.terminal { REDRAW } else { SIGN_OF_LIFE };
        if self.spoken.elapsed() < interval {
            return;
        }
        self.spoken = Instant::now();
        let seconds = start.elapsed().as_secs();
        let last: String = self.last.chars().filter(|c| !c.is_control()).take(70).collect();
        let text = format!("... {} {seconds} s  {last}", self.title);
        if self.terminal { redraw(&text) } else { put(&format!("{text}\n")) }
    }

    fn finish(&self, start: Instant, status: ExitStatus) {
        let word = if status.success() { "ok " } else { "BAD" };
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        put(&format!("{clear}{word} {} ({:.1} s)\n", self.title, start.elapsed().as_secs_f64()));
    }
}
