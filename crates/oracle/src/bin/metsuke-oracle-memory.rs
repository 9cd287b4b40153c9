//! What the compiled set takes: bytes that are allocated and not freed, counted by the allocator.
//! A program of its own, for counting slows whoever allocates more.

#![allow(dead_code, reason = "the data is shared with the other program, which needs all of it")]

#[path = "../data.rs"]
mod data;
#[path = "../reference.rs"]
mod reference;

use std::alloc::System;

use anyhow::Result;
use metsuke_detect::{Engine, compile};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Events after which the plans of all their classes have been made anew several times.
const EVENTS: usize = 200_000;

fn main() -> Result<()> {
    let data = data::folder()?;
    let documents = data::documents(&data)?;
    let before = Region::new(ALLOCATOR);
    let (rules, refused) = compile(documents.iter().cloned());
    drop(refused);
    println!("compiled: {:.1} MB ({} filters)", held(&before), rules.filters().len());
    let mut engine = Engine::new(rules);
    let mut seen = 0;
    data::recorded(&data.join("security-datasets/windows"), &mut |both| {
        if seen < EVENTS {
            engine.filters_only_as(&both.event, &both.sources);
            seen += 1;
        }
    })?;
    println!("with plans and samples after {seen} recorded events: {:.1} MB", held(&before));
    Ok(())
}

/// Megabytes allocated since and not freed.
fn held(since: &Region<'_, System>) -> f64 {
    let change = since.change();
    (change.bytes_allocated as f64 - change.bytes_deallocated as f64) / 1e6
}
