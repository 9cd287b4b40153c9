//! `metsuke` against a real server: signing in, and the documented exit codes.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use metsuke_e2e::stage::Stage;
use metsuke_testkit::binaries::binary;

#[test]
fn signing_in_keeps_a_token_for_its_owner_alone() -> Result<()> {
    let stage = Stage::new()?;
    let admin = stage.server.first_admin().context("no first administrator")?;
    let config = stage.folder("home")?;
    let command = |arguments: &[&str]| -> Result<Command> {
        let mut command = Command::new(binary("metsuke")?);
        command
            .args(arguments)
            .env_remove("METSUKE_TOKEN")
            .env_remove("METSUKE_URL")
            .env("XDG_CONFIG_HOME", &config);
        Ok(command)
    };
    assert_eq!(command(&["status"])?.output()?.status.code(), Some(3), "nobody is signed in");
    let url = stage.server.ready().console_url.clone();
    let sign_in = |password: &str| -> Result<Option<i32>> {
        let mut child = command(&["login", "--url", &url, "--user", &admin.user])?
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        writeln!(child.stdin.take().context("no input")?, "{password}")?;
        Ok(child.wait()?.code())
    };
    assert_eq!(sign_in("not the password")?, Some(3));
    assert_eq!(sign_in(&admin.password)?, Some(3), "a one-time password is to be changed first");
    let own = "a password of one's own";
    let change = serde_json::json!({ "old": admin.password, "new": own });
    stage.api().post("/api/v1/session/password", &change)?;
    assert_eq!(sign_in(own)?, Some(0));
    let file = config.join("metsuke/config.json");
    assert_eq!(file.metadata()?.permissions().mode() & 0o777, 0o600);
    assert_eq!(command(&["status"])?.output()?.status.code(), Some(0));
    Ok(())
}

#[test]
fn exit_codes_are_as_documented() -> Result<()> {
    let mut stage = Stage::new()?;
    let code = |stage: &Stage, arguments: &[&str]| -> Result<Option<i32>> {
        Ok(stage.metsuke(arguments)?.status.code())
    };
    for good in ["status", "endpoint list", "alert list"] {
        let arguments: Vec<&str> = good.split(' ').collect();
        assert_eq!(code(&stage, &arguments)?, Some(0), "{good}");
        let (_, answer) = stage.metsuke_json(&arguments)?;
        assert!(answer.is_object(), "{good} --json");
    }
    assert_eq!(code(&stage, &["search", "pid:1 AND ("])?, Some(2));
    assert_eq!(code(&stage, &["search", "sha256:0123"])?, Some(4));
    assert_eq!(code(&stage, &["alert", "show", &"0".repeat(32)])?, Some(4));
    assert_eq!(code(&stage, &["alert", "show", "../endpoints"])?, Some(2));
    assert_eq!(code(&stage, &["--token", "wrong", "status"])?, Some(3));
    assert_eq!(code(&stage, &["poc"])?, Some(4), "no endpoint is online");
    assert_eq!(code(&stage, &["frobnicate"])?, Some(2));
    stage.server.stop()?;
    assert_eq!(code(&stage, &["status"])?, Some(6));
    Ok(())
}
