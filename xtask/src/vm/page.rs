//! `docs/reference/support.md`, from what the machines told.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use metsuke_testkit::table::{Outcome, Row, Table};

use super::Told;
use super::kernels::Kernel;

/// The page.
pub(super) fn of(all: &[(Kernel, Told)]) -> String {
    let mut text = String::from(
        "# What is denied and seen on which kernel\n\n\
         Written by `./x test --vm` from what ran in virtual machines (QEMU), on Debian's cloud \
         kernels\nwith `lsm=…,bpf`; nothing here is written by hand. Each row of tier 1 has shown: \
         without the list\nthe deed is done; with it, it is refused and told; observed, it is done \
         and told; outside the scope\nit is done.\n\n",
    );
    // Writing to a String cannot fail.
    let _ = writeln!(text, "| |{}", columns(all, |kernel, _| format!(" Linux {} |", kernel.name)));
    let _ = writeln!(text, "|---|{}", "---|".repeat(all.len()));
    for (name, value) in
        [("kernel", fact as fn(&Told) -> String), ("tier in force (`metsuke-sensor probe`)", tier)]
    {
        let _ =
            writeln!(text, "| {name} |{}", columns(all, |_, told| format!(" {} |", value(told))));
    }
    let mut order = Vec::new();
    for row in all.iter().flat_map(|(_, told)| rows(told)) {
        if !order.contains(&row.name) {
            order.push(row.name.clone());
        }
    }
    let mut reasons = BTreeMap::new();
    for name in &order {
        let cell = |told: &Told| {
            let row = rows(told).find(|row| row.name == *name);
            row.map_or("not run".to_owned(), |row| word(row.outcome).to_owned())
        };
        let _ =
            writeln!(text, "| {name} |{}", columns(all, |_, told| format!(" {} |", cell(told))));
        let row = all.iter().flat_map(|(_, told)| rows(told)).find(|row| row.name == *name);
        if let Some(row) = row {
            reasons.insert(name.clone(), row.reason.clone());
        }
    }
    text.push_str("\n## How\n\n");
    for name in &order {
        let _ = writeln!(text, "- **{name}**: {}", reasons.get(name).map_or("", String::as_str));
    }
    text.push_str("\n## Hooks that a kernel refused\n\n");
    text.push_str(&refused(all));
    text
}

fn rows(told: &Told) -> impl Iterator<Item = &Row> {
    told.rows.iter().filter(|row| row.table == Table::Support)
}

fn columns(all: &[(Kernel, Told)], cell: impl Fn(&Kernel, &Told) -> String) -> String {
    all.iter().map(|(kernel, told)| cell(kernel, told)).collect()
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Seen => "seen",
        Outcome::Stopped => "stopped",
        Outcome::Partly => "partly",
        Outcome::Blind => "open",
    }
}

fn tier(told: &Told) -> String {
    let tier = told.probe.as_ref().and_then(|report| report.get("tier")?.as_str());
    match tier {
        Some("lsm") => "1 (BPF LSM)",
        Some("tracing") => "2 (BPF tracing)",
        Some("interfaces") => "3 (interfaces)",
        _ => "not told",
    }
    .to_owned()
}

/// The kernel's version, as Debian numbers it.
fn fact(told: &Told) -> String {
    let facts = told.probe.as_ref().and_then(|report| report.get("facts")?.as_array());
    let value = |wanted: &str| {
        let fact = facts?.iter().find(|fact| fact.get("name").is_some_and(|name| name == wanted));
        fact?.get("value")?.as_str()
    };
    value("kernel").unwrap_or("not told").to_owned()
}

fn refused(all: &[(Kernel, Told)]) -> String {
    let mut text = String::new();
    for (kernel, told) in all {
        let hooks = told.probe.as_ref().and_then(|report| report.get("hooks")?.as_array());
        for hook in hooks.into_iter().flatten() {
            let of = |name: &str| hook.get(name).and_then(|value| value.as_str());
            if of("outcome") == Some("refused") {
                let (name, reason) = (of("hook").unwrap_or("?"), of("reason").unwrap_or("?"));
                let _ = writeln!(text, "- Linux {}: `{name}`: {reason}", kernel.name);
            }
        }
    }
    if text.is_empty() {
        text.push_str("None.\n");
    }
    text
}
