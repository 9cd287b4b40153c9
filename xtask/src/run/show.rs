//! What `./x run` says: where the console is, what is blind, and the live status line.

use std::io::{IsTerminal, Write};

use anyhow::Result;
use serde_json::Value;

use super::world::World;

/// Most blind spots that are printed; the endpoint's page in the console lists all.
const BLIND_SHOWN: usize = 12;

/// Console, password, tier, blind spots.
pub(crate) fn welcome(world: &World) -> Result<()> {
    let ready = world.server().ready();
    println!();
    println!("  console    {}", ready.console_url);
    match world.server().first_admin() {
        Some(admin) => {
            println!("  sign in    {}  with the one-time password  {}", admin.user, admin.password);
        }
        None => {
            println!("  sign in    as before (the first password was printed at the first run)");
        }
    }
    let endpoint = &world.endpoint;
    println!("  sensor     {} on {}", plain(&endpoint["id"]), plain(&endpoint["host"]));
    println!(
        "  watches    {}",
        world.scope.as_ref().map_or("this host".into(), |p| p.display().to_string())
    );
    println!("  tier       {}", tier(endpoint));
    let refused = endpoint["coverage"]["hooks"].as_array().map(Vec::as_slice).unwrap_or_default();
    for hook in refused.iter().filter(|hook| hook["tier"] == "lsm" && hook["outcome"] == "refused")
    {
        println!(
            "             tier 1 refused: {}: {}",
            plain(&hook["hook"]),
            plain(&hook["reason"])
        );
    }
    let blind = endpoint["coverage"]["blind"].as_array().map(Vec::as_slice).unwrap_or_default();
    let nothing = if endpoint["coverage"].is_null() { "everything" } else { "nothing it knows of" };
    println!("  blind to   {}", if blind.is_empty() { nothing } else { "" });
    for spot in blind.iter().take(BLIND_SHOWN) {
        println!("             {}: {}", plain(&spot["code"]), plain(&spot["reason"]));
    }
    if blind.len() > BLIND_SHOWN {
        println!("             and {} more, see the endpoint's page", blind.len() - BLIND_SHOWN);
    }
    for reason in endpoint["degraded"].as_array().into_iter().flatten() {
        println!("  degraded   {}", plain(reason));
    }
    println!("  policy     detect, never block");
    println!();
    std::io::stdout().flush()?;
    Ok(())
}

fn tier(endpoint: &Value) -> String {
    let number = endpoint["tier"].as_u64().unwrap_or_default();
    let word = match number {
        1 => "BPF LSM: sees, and can deny in the kernel",
        2 => "BPF tracing and cgroup hooks: sees, and can stop shortly after",
        3 => "proc connector, fanotify and /proc: sees",
        _ => return "none: it sees nothing".to_owned(),
    };
    format!("{number} ({word})")
}

/// Text from a host may hold anything; only what cannot command a terminal is printed.
pub(crate) fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(300).collect()
}

/// One line, redrawn in place on a terminal; without one nothing is printed.
#[derive(Debug)]
pub(crate) struct StatusLine {
    terminal: bool,
}

impl StatusLine {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        println!("Ctrl-C drains and stops.");
        Self { terminal }
    }

    pub(crate) fn draw(&mut self, world: &World) -> Result<()> {
        if !self.terminal {
            return Ok(());
        }
        let api = world.api();
        let text = match (api.get("/api/v1/overview"), api.endpoint(world.endpoint_id())) {
            (Ok(overview), Ok(endpoint)) => status(&overview, &endpoint),
            (Err(error), _) | (_, Err(error)) => format!("the server does not answer: {error:#}"),
        };
        print!("\r\x1b[2K{}", text.chars().take(150).collect::<String>());
        std::io::stdout().flush()?;
        Ok(())
    }

    pub(crate) fn finish(&self) {
        if self.terminal {
            println!();
        }
    }
}

fn status(overview: &Value, endpoint: &Value) -> String {
    let health = &endpoint["health"];
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    format!(
        "{} · {} activities · {} lost · {} ms behind · {} kB spooled · {} open alerts · sensor {} MB, {} s CPU",
        plain(&endpoint["status"]),
        count(&health["events_total"]),
        count(&health["lost_total"]),
        count(&health["lag_ms"]),
        count(&health["spool_bytes"]) / 1024,
        count(&overview["alerts"]["open"]),
        count(&health["rss_bytes"]) / (1024 * 1024),
        count(&health["cpu_ms"]) / 1000,
    )
}
