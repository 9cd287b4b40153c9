//! The service manager's notification protocol (`sd_notify(3)`): ready, alive, stopping.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Where the service manager listens, if it does.
#[derive(Debug)]
pub(crate) struct Notifier {
    to: Option<(UnixDatagram, SocketAddr)>,
    ready: bool,
}

impl Notifier {
    /// From `NOTIFY_SOCKET`; a path, or an abstract name after `@`.
    pub(crate) fn from_environment() -> Self {
        let to = std::env::var_os("NOTIFY_SOCKET").and_then(|name| address(&name));
        let to = to.and_then(|to| Some((UnixDatagram::unbound().ok()?, to)));
        Self { to, ready: false }
    }

    /// The sensor beats: told each time, the first time as being ready.
    pub(crate) fn alive(&mut self) {
        let pid = std::process::id();
        if !std::mem::replace(&mut self.ready, true) {
            self.send(&format!("READY=1\nMAINPID={pid}"));
        }
        self.send("WATCHDOG=1");
    }

    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, text: &str) {
        if let Some((socket, to)) = &self.to
            && let Err(error) = socket.send_to_addr(text.as_bytes(), to)
        {
            tracing::debug!(%error, "the service manager is not reached");
        }
    }
}

fn address(name: &OsStr) -> Option<SocketAddr> {
    match name.as_bytes() {
        [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest).ok(),
        _ => SocketAddr::from_pathname(name).ok(),
    }
}
