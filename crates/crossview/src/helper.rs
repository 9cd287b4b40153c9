//! `ls` and `ps` as children: what a user of this host is shown, through its C library.
//!
//! Invariant: a child has an empty environment but for what is given, a deadline, and bounded
//! output; it is ended through its handle, never by pid. Of root's capabilities it keeps those to look
//! at every file and process; it is still user 0, to whom root's own files belong.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use metsuke_guard::privileges;

use crate::config::{Config, Helpers};

/// What a child keeps of root's rights, by number (capabilities(7)): `CAP_DAC_READ_SEARCH`, to list
/// every folder, and `CAP_SYS_PTRACE`, to be shown every process where `/proc` hides others'
/// (`hidepid`). Without them it would see less than root does, and each such thing would look hidden.
const KEPT: [u32; 2] = [2, 19];

/// How long a child may take on a busy host.
const DEADLINE: Duration = Duration::from_secs(20);

/// Bytes of a child's output at most: 262,144 names of 64 bytes.
const MAX_OUTPUT: u64 = 16 << 20;

/// Starts `command` from a thread that has given up what the child is not to have: rights are a
/// thread's, and its children's.
fn spawn(command: &mut Command) -> std::io::Result<Child> {
    std::thread::scope(|scope| {
        let name = "metsuke-narrow".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn_scoped(scope, || {
            privileges::narrow_this_thread(&KEPT)?;
            command.spawn()
        })?;
        thread.join().unwrap_or_else(|_| Err(std::io::ErrorKind::Other.into()))
    })
}

/// Runs `program` and gives its standard output.
pub(crate) fn output(config: &Config, program: &str, args: &[&str]) -> Result<Vec<u8>, String> {
    if config.helpers == Helpers::Skip {
        return Err("children are not run; allow them in the configuration".to_owned());
    }
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs([("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"), ("LC_ALL", "C")])
        .envs(config.helper_environment.iter().cloned())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child =
        spawn(&mut command).map_err(|error| format!("{program} cannot be run: {error}"))?;
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

#[cfg(test)]
mod tests {
    use super::{KEPT, output};
    use crate::config::{Config, Scope};

    #[test]
    fn a_child_may_look_everywhere_and_do_nothing_else() {
        let set = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
            u64::from_str_radix(line.trim(), 16).expect("hexadecimal")
        };
        let own = std::fs::read_to_string("/proc/thread-self/status").expect("is there");
        let kept = KEPT.iter().fold(0, |set, number| set | 1_u64 << number);
        let config = Config::new(Scope::Host);
        let said = output(&config, "cat", &["/proc/self/status"]).expect("runs");
        let said = String::from_utf8_lossy(&said).into_owned();
        // Nothing is gained, either, where the tests have fewer rights than that.
        let expected = set(&own, "CapPrm:") & kept;
        assert_eq!((set(&said, "CapPrm:"), set(&said, "CapEff:")), (expected, expected), "{said}");
        assert!(said.contains("NoNewPrivs:\t1"), "{said}");
        let after = std::fs::read_to_string("/proc/thread-self/status").expect("is there");
        assert_eq!(set(&after, "CapPrm:"), set(&own, "CapPrm:"), "the caller keeps its own");
    }
}
