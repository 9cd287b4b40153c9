//! The same pairs of event and rule, or each difference explained.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use metsuke_detect::Engine;

use crate::data::{self, Both};
use crate::reference::Reference;

/// Differences that are the reference's: rule, and why it differs.
const EXPLAINED: [(&str, &str); 1] = [(
    "4a0b2c7e-7cb2-495d-8b63-5f268e7bfd67",
    "`windash` on ` /accepteula`: by the specification a slash may be written as a dash too; the \
     reference turns dashes into slashes only",
)];

/// Differences printed of one rule.
const SHOWN: usize = 3;

/// Compares over all recordings.
pub fn main(data: &Path) -> Result<()> {
    let (ours, reference) = data::rules(data)?;
    let mut engine = Engine::new(ours);
    let (mut events, mut pairs) = (0_usize, 0_usize);
    let mut differences: BTreeMap<(String, bool), (usize, Vec<String>)> = BTreeMap::new();
    let mut compare = |both: Both| {
        let mut found: Vec<String> = engine
            .filters_only_as(&both.event, &both.sources)
            .into_iter()
            .map(|hit| hit.detection.id)
            .collect();
        found.sort_unstable();
        let expected = reference.matches(&both.json, &Reference::sources(&both.sources));
        events += 1;
        pairs += found.len();
        let mut note = |rule: &String, ours: bool| {
            let entry = differences.entry((rule.clone(), ours)).or_default();
            entry.0 += 1;
            if entry.1.len() < SHOWN {
                entry.1.push(both.json.to_string());
            }
        };
        found.iter().filter(|rule| !expected.contains(rule)).for_each(|rule| note(rule, true));
        expected.iter().filter(|rule| !found.contains(rule)).for_each(|rule| note(rule, false));
    };
    data::recorded(&data.join("security-datasets/windows"), &mut compare)?;
    data::logs(&data.join("evtx-attack-samples"), &mut compare)?;
    println!("{events} events, {pairs} pairs of event and rule");
    let mut unexplained = 0;
    for ((rule, ours), (count, examples)) in &differences {
        let who = if *ours { "ours alone" } else { "the reference alone" };
        let why = EXPLAINED.iter().find(|(known, _)| known == rule).map(|(_, why)| *why);
        println!("{rule}: {who}, {count} events: {}", why.unwrap_or("NOT EXPLAINED"));
        if why.is_none() {
            unexplained += 1;
            for example in examples {
                println!("    {}", example.chars().take(1_500).collect::<String>());
            }
        }
    }
    ensure!(unexplained == 0, "{unexplained} rules differ without explanation");
    Ok(())
}
