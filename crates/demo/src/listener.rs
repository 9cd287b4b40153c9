//! The far side: a loopback server that gives a file, takes a file, and talks to a shell.
//!
//! It speaks just enough HTTP/1.1 for `curl` and `wget`. Bodies are counted and dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::shell::{REPORTER, Report};
use crate::truth::ProcessTruth;

/// Longest request head; real ones are a few hundred bytes.
const MAX_HEAD: u64 = 16 * 1024;
/// Longest body that is read; the scenario uploads a few kilobytes.
const MAX_BODY: u64 = 16 * 1024 * 1024;
/// How long a peer may be silent.
const PEER_SILENCE: Duration = Duration::from_secs(30);

/// A running far side.
#[derive(Debug)]
pub struct FarSide {
    /// Where files are given and taken.
    pub http: SocketAddr,
    /// Where a shell may call back.
    pub shell: SocketAddr,
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    stop: AtomicBool,
    uploaded: AtomicU64,
    payload: Vec<u8>,
    heard: Mutex<Report>,
}

impl FarSide {
    /// Listens on two free ports of 127.0.0.1 and answers every GET with `payload`.
    pub fn start(payload: Vec<u8>) -> Result<Self> {
        let http = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening on loopback")?;
        let shell = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening on loopback")?;
        let state = Arc::new(State {
            stop: AtomicBool::new(false),
            uploaded: AtomicU64::new(0),
            payload,
            heard: Mutex::default(),
        });
        let (http_address, shell_address) = (http.local_addr()?, shell.local_addr()?);
        let threads = vec![
            serve(http, &state, "far-http", answer_http)?,
            serve(shell, &state, "far-shell", talk_to_shell)?,
        ];
        Ok(Self { http: http_address, shell: shell_address, state, threads })
    }

    /// Bytes of bodies it was sent so far.
    pub fn uploaded(&self) -> u64 {
        self.state.uploaded.load(Ordering::Acquire)
    }

    /// Stops listening and gives what shells that called back reported.
    pub fn stop(mut self) -> Report {
        self.halt();
        self.state.heard.lock().map(|mut heard| std::mem::take(&mut *heard)).unwrap_or_default()
    }

    fn halt(&mut self) {
        self.state.stop.store(true, Ordering::Release);
        // One connection each wakes the accept loops.
        for address in [self.http, self.shell] {
            drop(TcpStream::connect(address));
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for FarSide {
    fn drop(&mut self) {
        if !self.threads.is_empty() {
            self.halt();
        }
    }
}

fn serve(
    listener: TcpListener,
    state: &Arc<State>,
    name: &str,
    handle: fn(TcpStream, &State) -> Result<()>,
) -> Result<JoinHandle<()>> {
    let state = Arc::clone(state);
    let serve = move || {
        for stream in listener.incoming().flatten() {
            if state.stop.load(Ordering::Acquire) {
                break;
            }
            // A peer that breaks off is the scenario's problem, which reports its own failures.
            let _ = handle(stream, &state);
        }
    };
    Ok(std::thread::Builder::new().name(name.into()).spawn(serve)?)
}

fn answer_http(mut stream: TcpStream, state: &State) -> Result<()> {
    stream.set_read_timeout(Some(PEER_SILENCE))?;
    let mut reader = BufReader::new(stream.try_clone()?.take(MAX_HEAD + MAX_BODY));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let (mut length, mut chunked, mut waits) = (0_u64, false, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let line = line.to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        waits |= line.starts_with("expect:");
    }
    if waits {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    if chunked {
        length = drain_chunks(&mut reader)?;
    } else {
        std::io::copy(&mut reader.by_ref().take(length.min(MAX_BODY)), &mut std::io::sink())?;
    }
    state.uploaded.fetch_add(length, Ordering::AcqRel);
    let body: &[u8] = if request.starts_with("GET ") { &state.payload } else { b"ok\n" };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    Ok(())
}

fn drain_chunks(reader: &mut impl BufRead) -> Result<u64> {
    let mut total = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
        std::io::copy(&mut reader.take(size + 2), &mut std::io::sink())?;
        if size == 0 {
            return Ok(total);
        }
        total += size;
    }
}

/// Asks the shell who it is, looks at it while it waits, then has it run two commands.
fn talk_to_shell(mut stream: TcpStream, state: &State) -> Result<()> {
    stream.set_read_timeout(Some(PEER_SILENCE))?;
    writeln!(stream, "printf '@S\\t%s\\t%s\\n' \"$$\" \"$PPID\" >&2")?;
    let reader = BufReader::new(stream.try_clone()?.take(MAX_BODY));
    for line in reader.split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        let shell = line.find("@S\t").and_then(|at| itself(&line[at + 3..]));
        if shell.is_some() {
            write!(stream, "{REPORTER}\nr id\nr uname -r\nexit\n")?;
        }
        if let Ok(mut heard) = state.heard.lock() {
            heard.processes.extend(shell);
            heard.take(&line, "/usr/sbin:/usr/bin:/sbin:/bin");
        }
    }
    Ok(())
}

/// The shell, as the kernel describes it.
fn itself(fields: &str) -> Option<ProcessTruth> {
    let (pid, parent_pid) = fields.trim_end().split_once('\t')?;
    let folder = Path::new("/proc").join(pid);
    let cmd_line = std::fs::read(folder.join("cmdline")).ok()?;
    let text = |path| Some(std::fs::read_link(path).ok()?.to_str()?.to_owned());
    Some(ProcessTruth {
        pid: Some(pid.parse().ok()?),
        parent_pid: parent_pid.parse().ok()?,
        argv: cmd_line
            .split(|byte| *byte == 0)
            .filter(|argument| !argument.is_empty())
            .map(|argument| String::from_utf8_lossy(argument).into_owned())
            .collect(),
        cwd: text(folder.join("cwd"))?,
        exe: text(folder.join("exe")),
    })
}
