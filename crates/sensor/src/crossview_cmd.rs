//! `metsuke-sensor crossview`: what the kernel knows and somebody is not told; needs no
//! installation, and changes nothing.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use metsuke_crossview::{Config, Report, Scope};

/// Arguments of `metsuke-sensor crossview`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    /// Print the whole report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Tell only of this control group (v2), instead of the whole host.
    #[arg(long, value_name = "PATH")]
    pub scope_cgroup: Option<PathBuf>,
}

/// Looks once (two passes) and prints the report.
///
/// # Errors
/// When the scope is none, or standard output is closed.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::new(args.scope_cgroup.map_or(Scope::Host, Scope::Cgroup));
    let report = metsuke_crossview::run(&config)?;
    let text = if args.json {
        let mut text = serde_json::to_string_pretty(&report)?;
        text.push('\n');
        text
    } else {
        page(&report)
    };
    std::io::stdout().write_all(text.as_bytes()).context("cannot write the report")?;
    Ok(ExitCode::SUCCESS)
}

fn page(report: &Report) -> String {
    // Writing to a String cannot fail.
    let mut page = String::from("Views\n");
    for view in &report.views {
        let outcome = view.refused.as_ref().map_or_else(
            || format!("{} {}s", view.count, view.of.name()),
            |reason| format!("cannot look: {reason}"),
        );
        let _ = writeln!(page, "  {:<8} {:<22} {outcome}", view.of.name(), view.name);
    }
    let _ = writeln!(page, "\nDiscrepancies (the same in two passes)");
    for found in &report.discrepancies {
        let _ = writeln!(page, "  {} {}: {}", found.of.name(), found.subject, found.technique);
        let _ = writeln!(
            page,
            "    seen by {}; missing from {}",
            found.seen_by.join(", "),
            found.missing_from.join(", ")
        );
        if !found.detail.is_empty() {
            let _ = writeln!(page, "    {}", found.detail);
        }
    }
    if report.discrepancies.is_empty() {
        page.push_str("  none\n");
    }
    if report.left_out > 0 {
        let _ = writeln!(page, "  and {} more", report.left_out);
    }
    let _ = writeln!(
        page,
        "\n{} ms, {} ms of CPU time, children not counted",
        report.duration_ms, report.cpu_ms
    );
    page
}
