//! `ls` and `ps` as children: what a user of this host is shown, through its C library.
//!
//! Invariant: a child has an empty environment but for what is given, a deadline, and bounded
//! output; it is ended through its handle, never by pid.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::config::{Config, Helpers};

/// How long a child may take on a busy host.
const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes of a child's output at most: 262,144 names of 64 bytes.
const MAX_OUTPUT: u64 = 16 << 20;

/// Runs `program` and gives its standard output.
pub(crate) fn output(config: &Config, program: &str, args: &[&str]) -> Result<Vec<u8>, String> {
    if config.helpers == Helpers::Skip {
        return Err("children are not run; allow them in the configuration".to_owned());
    }
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .envs([("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"), ("LC_ALL", "C")])
        .envs(config.helper_environment.iter().cloned())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{program} cannot be run: {error}"))?;
    let Some(pipe) = child.stdout.take() else { return Err(format!("{program} has no output")) };
    let (done, read) = sync_channel(1);
    let reader = std::thread::Builder::new().name("metsuke-helper".to_owned()).spawn(move || {
        let mut bytes = Vec::new();
        let result = pipe.take(MAX_OUTPUT + 1).read_to_end(&mut bytes).map(|_| bytes);
        // Nobody waits any more when the deadline has passed.
        let _ = done.send(result);
    });
    let outcome = match reader {
        Ok(_) => read.recv_timeout(DEADLINE),
        Err(_) => Err(RecvTimeoutError::Disconnected),
    };
    // Ended also when it is done: killing what has ended does nothing.
    let _ = child.kill();
    let _ = child.wait();
    match outcome {
        Ok(Ok(bytes)) if bytes.len() as u64 <= MAX_OUTPUT => Ok(bytes),
        Ok(Ok(_)) => Err(format!("{program} said more than {MAX_OUTPUT} bytes")),
        Ok(Err(error)) => Err(format!("{program} cannot be read: {error}")),
        Err(_) => Err(format!("{program} did not end within {} s", DEADLINE.as_secs())),
    }
}
