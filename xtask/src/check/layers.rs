//! Dependencies point down only, and the two lowest layers stay pure.
//!
//! Each package says its layer in `[package.metadata.metsuke] layer = "…"`. A package may depend
//! on its own layer and those below; nothing depends on a tool, only tests and tools on binaries and
//! on test packages (anyone's tests may use test packages). Vocabulary and engines do no I/O, read no clock and are not async.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Problem;
use super::metadata::{Metadata, Package};

/// From the lowest to the highest.
const LAYERS: [&str; 7] = ["vocabulary", "engine", "adapter", "service", "binary", "test", "tool"];

/// What a pure package must not depend on: runtimes, networks, stores.
const IMPURE: [&str; 13] = [
    "tokio",
    "async-trait",
    "tonic",
    "axum",
    "hyper",
    "ureq",
    "rustls",
    "object_store",
    "datafusion",
    "deltalake-core",
    "arrow",
    "parquet",
    "sea-orm",
];

/// What a pure package's code must not say outside its tests.
const IMPURE_CALLS: [&str; 8] = [
    "SystemTime::now",
    "Instant::now",
    "Utc::now",
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "std::process::Command",
    "std::thread::sleep",
];

/// Every arrow that points up, and every impurity below.
pub(super) fn problems() -> Result<Vec<Problem>> {
    let metadata = Metadata::load()?;
    let mut problems = Vec::new();
    for package in metadata.ours() {
        match package.layer().and_then(rank) {
            None => problems.push(Problem::new(
                &package.name,
                format!(
                    "declares no layer; write [package.metadata.metsuke] layer = one of {LAYERS:?}"
                ),
            )),
            Some(own) => {
                arrows(&metadata, package, own, &mut problems);
                if own < 2 {
                    impurities(package, &mut problems)?;
                }
            }
        }
    }
    Ok(problems)
}

fn rank(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|known| *known == layer)
}

fn arrows(metadata: &Metadata, package: &Package, own: usize, problems: &mut Vec<Problem>) {
    for dependency in &package.dependencies {
        let Some(target) = metadata.ours().find(|other| other.name == dependency.name) else {
            continue;
        };
        let (Some(layer), Some(other)) = (target.layer(), target.layer().and_then(rank)) else {
            continue;
        };
        if !allowed(own, other, dependency.kind.as_deref()) {
            problems.push(Problem::new(
                &package.name,
                format!(
                    "({}) depends on {} ({layer}): dependencies point down only",
                    LAYERS[own], target.name
                ),
            ));
        }
    }
}

/// Whether a package of layer `own` may depend on one of layer `other`.
fn allowed(own: usize, other: usize, kind: Option<&str>) -> bool {
    let (binary, test) = (4, 5);
    match other {
        _ if other == test => kind == Some("dev") || own >= test,
        _ if other == binary => own >= test,
        _ if other > test => false,
        _ => other <= own,
    }
}

fn impurities(package: &Package, problems: &mut Vec<Problem>) -> Result<()> {
    for dependency in package.dependencies.iter().filter(|dependency| dependency.kind.is_none()) {
        if IMPURE.contains(&dependency.name.as_str()) {
            problems.push(Problem::new(
                &package.name,
                format!(
                    "is pure but depends on {}: move what needs it to an adapter",
                    dependency.name
                ),
            ));
        }
    }
    let Some(folder) = Path::new(&package.manifest_path).parent() else { return Ok(()) };
    let mut waiting = vec![folder.join("src")];
    let mut sources = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            sources.push((path, text));
        }
    }
    let of_tests: HashSet<_> = sources.iter().flat_map(|(_, text)| test_modules(text)).collect();
    for (path, text) in &sources {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if of_tests.contains(&*name) {
            continue;
        }
        for (line, call) in impure_lines(text) {
            problems.push(Problem::new(
                format!("{}:{line}", path.display()),
                format!("a pure package says `{call}`: take the value as an argument"),
            ));
        }
    }
    Ok(())
}

/// Names of the modules in files of their own that are compiled for tests only.
fn test_modules(text: &str) -> Vec<&str> {
    let after = text.split("#[cfg(test)]").skip(1);
    after
        .filter_map(|rest| rest.trim_start().strip_prefix("mod ")?.split(';').next())
        .filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .collect()
}

/// Line numbers with what they say, up to the tests at the end of the file.
fn impure_lines(text: &str) -> Vec<(usize, &'static str)> {
    let tests = text
        .split("#[cfg(test)]\nmod ")
        .skip(1)
        .find(|rest| rest.lines().next().is_some_and(|line| line.ends_with('{')));
    let code = &text[..text.len() - tests.map_or(0, str::len)];
    code.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .flat_map(|(number, line)| {
            IMPURE_CALLS
                .into_iter()
                .filter(|call| line.contains(call))
                .map(move |call| (number + 1, call))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{allowed, impure_lines, rank, test_modules};

    #[test]
    fn arrows_point_down() {
        let check = |own: &str, other: &str, kind: Option<&str>, expect: bool| {
            let (own_rank, other_rank) = (rank(own).expect("known"), rank(other).expect("known"));
            assert_eq!(allowed(own_rank, other_rank, kind), expect, "{own} -> {other} {kind:?}");
        };
        check("engine", "vocabulary", None, true);
        check("engine", "engine", None, true);
        check("engine", "adapter", None, false);
        check("adapter", "service", Some("build"), false);
        check("binary", "service", None, true);
        check("binary", "binary", None, false);
        check("engine", "test", Some("dev"), true);
        check("service", "test", None, false);
        check("test", "test", None, true);
        check("test", "tool", None, false);
        check("tool", "binary", None, true);
    }

    #[test]
    fn modules_of_tests_are_told() {
        let text = "mod a;\n#[cfg(test)]\nmod b;\n#[cfg(test)]\nmod tests {\n mod c; }\n";
        assert_eq!(test_modules(text), ["b"]);
    }

    #[test]
    fn clocks_and_files_are_found_outside_tests_and_comments() {
        let text = "// std::fs is fine here\n#[cfg(test)]\nmod all;\nlet now = SystemTime::now();\n\
            #[cfg(test)]\nmod tests {\n    std::fs::read();\n}\n";
        assert_eq!(impure_lines(text), [(4, "SystemTime::now")]);
    }
}
