//! `metsuke-sensor probe`: what can be seen here, found by trying; needs no installation.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use metsuke_enforce::EnforceScope;
use metsuke_enforce::deny::Guard;
use metsuke_event::coverage::{Coverage, Outcome, Tier};
use metsuke_probe::{ProbeConfig, Scope};

use crate::edge::Content;
use crate::reach;

/// Arguments of `metsuke-sensor probe`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Print the whole report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Try with this control group (v2) as the scope, instead of the whole host.
    #[arg(long, value_name = "PATH")]
    pub scope_cgroup: Option<PathBuf>,
    /// The best tier to try: 1, 2 or 3.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
    pub max_tier: Option<u8>,
}

/// The tier with a number.
pub(crate) fn tier(number: u8) -> Tier {
    match number {
        1 => Tier::Lsm,
        2 => Tier::Tracing,
        _ => Tier::Interfaces,
    }
}

/// Tries every hook once and prints the report.
///
/// # Errors
/// When the scope is none, or standard output is closed.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let within =
        args.scope_cgroup.as_deref().map_or(Ok(EnforceScope::Host), EnforceScope::cgroup)?;
    let scope = args.scope_cgroup.map_or(Scope::Host, Scope::Cgroup);
    let config = ProbeConfig { max_tier: args.max_tier.map(tier), ..ProbeConfig::new(scope) };
    let mut coverage = metsuke_probe::trial(&config)?;
    // Nothing is denied: there is no list.
    let best = config.max_tier.unwrap_or(Tier::Lsm);
    reach::in_force(&mut coverage, &Guard::attach(&within, best));
    reach::detections(&mut coverage, &Content::built_in().rules);
    let text = if args.json {
        let mut text = serde_json::to_string_pretty(&coverage)?;
        text.push('\n');
        text
    } else {
        page(&coverage)
    };
    std::io::stdout().write_all(text.as_bytes()).context("cannot write the report")?;
    Ok(ExitCode::SUCCESS)
}

fn page(coverage: &Coverage) -> String {
    let mut page = format!("Tier {}: {}\n", coverage.tier.number(), meaning(coverage.tier));
    page.push_str("\nHooks tried\n");
    for hook in &coverage.hooks {
        let (mark, reason) = match &hook.outcome {
            Outcome::Works => ("works  ", ""),
            Outcome::Refused { reason } => ("refused", reason.as_str()),
            Outcome::NotTried { reason } => ("untried", reason.as_str()),
        };
        let (tier, name, purpose) = (hook.tier.number(), &hook.hook, &hook.purpose);
        let _ = writeln!(page, "  {mark}  tier {tier}  {name}  ({purpose})");
        if !reason.is_empty() {
            let _ = writeln!(page, "           {reason}");
        }
    }
    let _ = writeln!(page, "\nSees: {}", coverage.sees.join(", "));
    page.push_str("\nBlind to\n");
    for spot in &coverage.blind {
        let _ = writeln!(page, "  {} ({}): {}", spot.code, spot.activities.join(", "), spot.reason);
    }
    let able = coverage.detections.iter().filter(|one| one.can_fire).count();
    let _ = writeln!(page, "\nDetections: {able} of {} can fire here", coverage.detections.len());
    for one in coverage.detections.iter().filter(|one| !one.can_fire) {
        let _ = writeln!(page, "  cannot: {} ({}): {}", one.title, one.id, one.why);
    }
    page.push_str("\nHost\n");
    for fact in &coverage.facts {
        let _ = writeln!(page, "  {}: {}", fact.name, fact.value);
    }
    page
}

const fn meaning(tier: Tier) -> &'static str {
    match tier {
        Tier::Lsm => "BPF LSM; sees, and denies in the kernel",
        Tier::Tracing => "BPF tracing; sees, and can stop shortly after",
        Tier::Interfaces => "proc connector, fanotify and /proc; sees",
    }
}
