//! `metsuke login` on a real terminal, one of `script` (util-linux).

use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Reads what comes until it holds `text`; everything read so far.
fn until(output: &mut impl Read, text: &str) -> String {
    let mut seen = String::new();
    let mut buffer = [0; 1024];
    while !seen.contains(text) {
        let read = output.read(&mut buffer).expect("reads");
        assert!(read > 0, "it ended before {text:?}: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    seen
}

#[test]
fn a_ctrl_c_at_the_password_gives_the_terminal_back() {
    if Command::new("script").arg("--version").output().is_err() {
        let test = "a_ctrl_c_at_the_password_gives_the_terminal_back";
        eprintln!("NOT RUN: {test}: no `script` (package bsdutils) to get a terminal from");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    // The shell stays: it tells how the command ended and how the terminal was left.
    let metsuke = env!("CARGO_BIN_EXE_metsuke");
    let line = format!(
        "trap : INT; '{metsuke}' login --url http://127.0.0.1:9; echo ended $?; stty -a; echo over"
    );
    let mut child = Command::new("script")
        .args(["--quiet", "--flush", "--command", &line, "/dev/null"])
        .env("XDG_CONFIG_HOME", folder.path())
        .env("SHELL", "/bin/sh")
        .env_remove("METSUKE_PASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut keyboard = child.stdin.take().expect("a keyboard");
    let mut output = child.stdout.take().expect("a screen");
    until(&mut output, "password of admin: ");
    keyboard.write_all(b"secret\x03").expect("types");
    let screen = until(&mut output, "over");
    drop(keyboard);
    child.wait().expect("ends");
    assert!(screen.contains("ended 130"), "{screen}");
    assert!(screen.contains(" echo "), "the terminal shows what is typed again: {screen}");
    assert!(!screen.contains("secret"), "{screen}");
}
