//! `metsuke login`: a password becomes a token that is kept.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::arguments::{Arguments, Login};
use crate::client::Client;
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(arguments: &Arguments, login: &Login) -> Result<ExitCode, Failure> {
    let path = config::path()?;
    let kept = config::load(&path)?;
    let url = arguments.url.clone().or_else(|| kept.map(|kept| kept.url));
    let url = url.ok_or_else(|| Failure::Usage("give the server with --url".to_owned()))?;
    let client = Client::new(&url, None);
    let password = password(&login.user)?;
    let name = login.name.clone().unwrap_or_else(|| format!("metsuke on {}", host_name()));
    let answer = client.post(
        "/api/v1/tokens/login",
        &json!({ "user": login.user, "password": password, "name": name }),
    )?;
    let token = answer["token"]
        .as_str()
        .ok_or_else(|| Failure::Server("the server's answer has no token".to_owned()))?;
    config::save(&path, &Config { url: client.url().to_owned(), token: token.to_owned() })?;
    if arguments.json {
        // The token itself stays in the file.
        output::json(&json!({ "url": client.url(), "user": login.user, "name": answer["name"],
            "expires": answer["expires"], "config": path.display().to_string() }))?;
    } else {
        output::say(&format!(
            "signed in at {} as {} until {}; token kept in {}",
            client.url(),
            login.user,
            output::cell(&answer["expires"]),
            path.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "a host".to_owned() } else { name.trim().to_owned() }
}

/// From `METSUKE_PASSWORD`, the terminal (not echoed) or the first line of standard input.
fn password(user: &str) -> Result<String, Failure> {
    if let Ok(password) = std::env::var("METSUKE_PASSWORD") {
        return Ok(password);
    }
    let local = |source| Failure::Local { doing: "reading the password".to_owned(), source };
    let stdin = std::io::stdin();
    let mut line = String::new();
    if stdin.is_terminal() {
        let before = tcgetattr(&stdin).map_err(|error| local(error.into()))?;
        give_back_when_interrupted(before.clone()).map_err(local)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Flush, &quiet).map_err(|error| local(error.into()))?;
        // After the terminal was made quiet: who types at once is not seen either.
        let asked = write!(std::io::stderr(), "password of {user}: ");
        let read = asked.and_then(|()| stdin.lock().read_line(&mut line));
        tcsetattr(&stdin, OptionalActions::Flush, &before).map_err(|error| local(error.into()))?;
        writeln!(std::io::stderr()).map_err(local)?;
        read.map_err(local)?;
    } else {
        stdin.lock().read_line(&mut line).map_err(local)?;
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// A Ctrl-C at the password must not leave a terminal that shows nothing of what is typed. The
/// thread lives as long as this command; the signal then ends it as it always does.
fn give_back_when_interrupted(before: Termios) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::Builder::new().name("metsuke-terminal".to_owned()).spawn(move || {
        for signal in signals.forever() {
            // The terminal may be what went away.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
            let _ = writeln!(std::io::stderr());
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}
