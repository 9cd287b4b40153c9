//! Where one sensor's watch ends and the next one's begins.
//!
//! For a moment both watch. The older one withholds what it sees for [`WINDOW_MS`], looks for the
//! longest pause in it, and cuts there: it tells what was before, the newer one what came after.
//! Both count in nanoseconds since boot, for each reckons the wall clock for itself. The kernel runs
//! the older one's programs first, so an activity's times are at most a little later in the newer
//! one: nothing is lost at the cut, and nothing told twice when the pause is longer than that.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use crate::sys;

/// How long the older one withholds, in milliseconds.
pub const WINDOW_MS: u64 = 500;
/// At most so many activities are withheld; more, and the window ends early.
pub const WINDOW_EVENTS: usize = 65_536;
/// A pause at least so long, in nanoseconds, tells activities before and after it apart: two
/// programs on one hook run within microseconds.
pub const PAUSE_NS: u64 = 50_000;
/// How long the newer one waits for the older one to keep what it has and let go.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest line of the protocol, in bytes.
const LINE_MAX: u64 = 256;
/// The socket's name in the state folder.
const SOCKET: &str = "handover.sock";

/// The cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The first nanosecond since boot that the newer one tells.
    pub at_ns: u64,
    /// How long nothing was seen around it, in nanoseconds.
    pub pause_ns: u64,
}

impl Cut {
    /// In the longest pause between `from_ns` (both watch by then) and `until_ns`; `times_ns` are
    /// those of all activities in between, in any order.
    pub fn choose(times_ns: &mut Vec<u64>, from_ns: u64, until_ns: u64) -> Self {
        times_ns.retain(|time| (from_ns..until_ns).contains(time));
        times_ns.push(from_ns);
        times_ns.push(until_ns.max(from_ns));
        times_ns.sort_unstable();
        let mut longest = Self { at_ns: until_ns.max(from_ns), pause_ns: 0 };
        for pair in times_ns.windows(2) {
            let pause_ns = pair[1] - pair[0];
            if pause_ns > longest.pause_ns {
                longest = Self { at_ns: pair[0] + pause_ns / 2, pause_ns };
            }
        }
        longest
    }

    /// Whether an activity at the cut may be told twice.
    pub const fn may_double(&self) -> bool {
        self.pause_ns < PAUSE_NS
    }
}

/// The older one's ear.
#[derive(Debug)]
pub struct Ear {
    listener: UnixListener,
}

/// A newer one that watches already and waits for the cut.
#[derive(Debug)]
pub struct Successor {
    stream: UnixStream,
    /// Since when it watches, in nanoseconds since boot.
    pub watches_since_ns: u64,
}

impl Ear {
    /// Listens in the state folder, which only its owner may enter.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn open(state: &Path) -> io::Result<Self> {
        let path = state.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// A successor, if one has come; others than this user and root are refused.
    pub fn hear(&self) -> Option<Successor> {
        let (stream, _) = self.listener.accept().ok()?;
        stream.set_nonblocking(false).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
        let user = sys::peer_user(stream.as_fd()).ok()?;
        if user != 0 && user != sys::own_user() {
            tracing::warn!(user, "somebody who may not asked to take over");
            return None;
        }
        let line = line(&stream).ok()?;
        let watches_since_ns = line.strip_prefix("watching ")?.trim().parse().ok()?;
        Some(Successor { stream, watches_since_ns })
    }
}

impl Successor {
    /// Everything before the cut is kept, and the state folder is free.
    ///
    /// # Errors
    /// When it is gone; then the time from the cut on is a gap.
    pub fn let_go(mut self, cut: Cut) -> io::Result<()> {
        writeln!(self.stream, "cut {} {}", cut.at_ns, cut.pause_ns)
    }
}

/// The newer one's side.
#[derive(Debug)]
pub struct Takeover {
    stream: UnixStream,
}

impl Takeover {
    /// Says to the sensor with this state folder that this one watches since `since_ns`.
    ///
    /// # Errors
    /// When none runs there.
    pub fn ask(state: &Path, since_ns: u64) -> io::Result<Self> {
        let mut stream = UnixStream::connect(state.join(SOCKET))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        writeln!(stream, "watching {since_ns}")?;
        Ok(Self { stream })
    }

    /// Waits until the older one has let go.
    ///
    /// # Errors
    /// When it ends without, or takes too long.
    pub fn wait(self) -> io::Result<Cut> {
        let line = line(&self.stream)?;
        let wrong = || io::Error::other("the running sensor ended without saying where");
        let (at, pause) = line
            .strip_prefix("cut ")
            .and_then(|rest| rest.trim().split_once(' '))
            .ok_or_else(wrong)?;
        let number = |text: &str| text.parse().map_err(|_| wrong());
        Ok(Cut { at_ns: number(at)?, pause_ns: number(pause)? })
    }
}

fn line(stream: &UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE_MAX)).read_line(&mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::{Cut, Ear, Takeover};

    #[test]
    fn the_cut_lies_in_the_longest_pause_of_the_time_both_watch() {
        let check = |times: &[u64], from, until, at_ns, pause_ns| {
            let cut = Cut::choose(&mut times.to_vec(), from, until);
            assert_eq!(cut, Cut { at_ns, pause_ns }, "{times:?}");
        };
        check(&[], 100, 200, 150, 100);
        check(&[110, 190, 120], 100, 200, 155, 70);
        check(&[10, 150, 900], 100, 200, 125, 50);
        check(&[5], 200, 100, 200, 0);
    }

    #[test]
    fn the_newer_one_waits_until_the_older_one_lets_go() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        assert!(Takeover::ask(dir.path(), 1).is_err(), "nobody is there");
        let ear = Ear::open(dir.path())?;
        assert!(ear.hear().is_none());
        let takeover = Takeover::ask(dir.path(), 42)?;
        let successor = ear.hear().expect("it asked");
        assert_eq!(successor.watches_since_ns, 42);
        let cut = Cut { at_ns: 50, pause_ns: 7 };
        successor.let_go(cut)?;
        assert_eq!(takeover.wait()?, cut);
        let takeover = Takeover::ask(dir.path(), 43)?;
        drop(ear);
        assert!(takeover.wait().is_err(), "it ended without a word");
        Ok(())
    }
}
