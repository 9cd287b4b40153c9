//! Every dependency's licence is one of those that `deny.toml` allows.
//!
//! The same list serves cargo-deny where it is installed; this check needs only cargo.

use std::collections::HashSet;
use std::fs;

use anyhow::{Context, Result, ensure};

use super::Problem;
use super::metadata::Metadata;
use crate::place;

/// Every dependency whose licence is not allowed.
pub(super) fn problems() -> Result<Vec<Problem>> {
    let text =
        fs::read_to_string(place::root().join("deny.toml")).context("cannot read deny.toml")?;
    let allowed = allow_list(&text);
    ensure!(!allowed.is_empty(), "deny.toml holds no `allow = [ … ]` list of licences");
    let metadata = Metadata::load()?;
    Ok(metadata
        .others()
        .filter_map(|package| {
            let place = format!("{} {}", package.name, package.version);
            match &package.license {
                Some(license) if permits(license, &allowed) => None,
                Some(license) => Some(Problem::new(
                    place,
                    format!("its licence `{license}` is not in deny.toml's list"),
                )),
                None if package.license_file.is_some() => Some(Problem::new(
                    place,
                    "has a licence file but names no licence: read it, then add an exception",
                )),
                None => Some(Problem::new(place, "has no licence")),
            }
        })
        .collect())
}

/// The quoted words of the `allow = [ … ]` list under `[licenses]`.
fn allow_list(text: &str) -> HashSet<String> {
    let Some((_, section)) = text.split_once("[licenses]") else { return HashSet::new() };
    let Some((_, list)) = section.split_once("allow = [") else { return HashSet::new() };
    let list = list.split(']').next().unwrap_or_default();
    let lines = list.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(|line| line.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be fulfilled with allowed licences only.
fn permits(expression: &str, allowed: &HashSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    any_of(&mut rest, allowed) && rest.is_empty()
}

fn any_of(words: &mut &[&str], allowed: &HashSet<String>) -> bool {
    let mut permitted = all_of(words, allowed);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        permitted |= all_of(words, allowed);
    }
    permitted
}

fn all_of(words: &mut &[&str], allowed: &HashSet<String>) -> bool {
    let mut permitted = one(words, allowed);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        permitted &= one(words, allowed);
    }
    permitted
}

fn one(words: &mut &[&str], allowed: &HashSet<String>) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let permitted = any_of(words, allowed);
            if let [")", rest @ ..] = *words {
                *words = rest;
            }
            permitted
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            allowed.contains(&format!("{licence} WITH {exception}")) || allowed.contains(*licence)
        }
        [licence, rest @ ..] => {
            *words = rest;
            allowed.contains(*licence)
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{allow_list, permits};

    #[test]
    fn expressions() {
        let allowed =
            allow_list("[licenses]\nallow = [\n  \"MIT\", # short\n  \"Apache-2.0\",\n]\n");
        let check = |expression: &str, expect| {
            assert_eq!(permits(expression, &allowed), expect, "{expression}");
        };
        check("MIT", true);
        check("MIT/Apache-2.0", true);
        check("GPL-3.0-only OR MIT", true);
        check("GPL-3.0-only AND MIT", false);
        check("(MIT OR GPL-2.0) AND Apache-2.0", true);
        check("Apache-2.0 WITH LLVM-exception", true);
        check("Elastic-2.0", false);
        check("", false);
    }
}
