//! The atomics' YAML, as far as a run needs it.
//!
//! Leaves to `judge` what may run. Input arguments are replaced by their defaults here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use saphyr::{LoadableYamlNode, Yaml};

/// Where the folder of the atomics stands in the room.
pub(crate) const FOLDER: &str = "/atomics";

/// Most bytes of one file.
const FILE_MAX: u64 = 4 << 20;

/// One test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Atomic {
    pub(crate) technique: String,
    pub(crate) name: String,
    /// The first eight digits of its GUID tell it from others.
    pub(crate) guid: String,
    /// sh, bash, manual, powershell …
    pub(crate) executor: String,
    pub(crate) command: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) dependency_executor: String,
}

/// What a test needs beforehand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dependency {
    pub(crate) description: String,
    pub(crate) check: String,
    pub(crate) get: String,
}

/// The Linux tests of every file in `folder`, in the order of their names.
///
/// # Errors
/// When the folder cannot be read or a file is no such document.
pub(crate) fn load(folder: &Path) -> Result<Vec<Atomic>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml"))
        .collect();
    files.sort();
    let mut atomics = Vec::new();
    for path in files {
        let size = std::fs::metadata(&path)?.len();
        anyhow::ensure!(size <= FILE_MAX, "{} is too large for an atomic", path.display());
        let text = std::fs::read_to_string(&path)?;
        let read = read(&text).with_context(|| format!("{} is no atomic", path.display()))?;
        atomics.extend(read);
    }
    Ok(atomics)
}

fn read(text: &str) -> Result<Vec<Atomic>> {
    let documents = Yaml::load_from_str(text)?;
    let document = documents.first().ok_or_else(|| anyhow!("the file is empty"))?;
    let technique = field(document, "attack_technique");
    let tests = document.as_mapping_get("atomic_tests").and_then(Yaml::as_vec);
    let tests = tests.ok_or_else(|| anyhow!("there are no atomic_tests"))?;
    Ok(tests.iter().filter(|test| is_linux(test)).map(|test| atomic(&technique, test)).collect())
}

fn is_linux(test: &Yaml<'_>) -> bool {
    let platforms = test.as_mapping_get("supported_platforms").and_then(Yaml::as_vec);
    platforms.is_some_and(|names| names.iter().any(|name| name.as_str() == Some("linux")))
}

fn atomic(technique: &str, test: &Yaml<'_>) -> Atomic {
    let defaults = defaults(test);
    let filled = |text: String| fill(text, &defaults);
    let empty = Yaml::Mapping(saphyr::Mapping::new());
    let executor = test.as_mapping_get("executor").unwrap_or(&empty);
    let dependencies = test.as_mapping_get("dependencies").and_then(Yaml::as_vec);
    let dependencies = dependencies.into_iter().flatten().map(|need| Dependency {
        description: filled(field(need, "description")).trim().to_owned(),
        check: filled(field(need, "prereq_command")),
        get: filled(field(need, "get_prereq_command")),
    });
    let name = field(executor, "name");
    let dependency_executor = match field(test, "dependency_executor_name") {
        named if named.is_empty() => name.clone(),
        named => named,
    };
    Atomic {
        technique: technique.to_owned(),
        name: field(test, "name"),
        guid: field(test, "auto_generated_guid").chars().take(8).collect(),
        command: filled(field(executor, "command")),
        dependencies: dependencies.collect(),
        executor: name,
        dependency_executor,
    }
}

fn field(node: &Yaml<'_>, name: &str) -> String {
    node.as_mapping_get(name).map(scalar).unwrap_or_default()
}

fn scalar(node: &Yaml<'_>) -> String {
    if let Some(text) = node.as_str() {
        return text.to_owned();
    }
    if let Some(number) = node.as_integer() {
        return number.to_string();
    }
    node.as_bool().map(|flag| flag.to_string()).unwrap_or_default()
}

fn defaults(test: &Yaml<'_>) -> BTreeMap<String, String> {
    let arguments = test.as_mapping_get("input_arguments").and_then(Yaml::as_mapping);
    let arguments = arguments.into_iter().flatten();
    arguments.map(|(name, about)| (scalar(name), field(about, "default"))).collect()
}

fn fill(mut text: String, defaults: &BTreeMap<String, String>) -> String {
    // Twice: a default may name another argument.
    for _ in 0..2 {
        for (name, value) in defaults {
            text = text.replace(&format!("#{{{name}}}"), value);
        }
    }
    text.replace("$PathToAtomicsFolder", FOLDER).replace("PathToAtomicsFolder", FOLDER)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn arguments_are_filled_in_and_other_systems_left_out() {
        let text = "
attack_technique: T0000
atomic_tests:
- name: one
  auto_generated_guid: 01234567-89ab
  supported_platforms: [linux, macos]
  input_arguments:
    file: {description: d, type: path, default: /tmp/x}
    port: {description: d, type: integer, default: 8080}
  dependencies:
  - {description: 'needs #{file}', prereq_command: 'test -f #{file}', get_prereq_command: 'touch #{file}'}
  executor: {name: sh, command: 'cat #{file} | nc ::1 #{port}; sh PathToAtomicsFolder/a.sh'}
- name: two
  supported_platforms: [windows]
  executor: {name: powershell, command: x}
";
        let atomics = read(text).expect("well formed");
        assert_eq!(atomics.len(), 1);
        assert_eq!(atomics[0].command, "cat /tmp/x | nc ::1 8080; sh /atomics/a.sh");
        assert_eq!(atomics[0].dependencies[0].check, "test -f /tmp/x");
        assert_eq!((&*atomics[0].guid, &*atomics[0].dependency_executor), ("01234567", "sh"));
        assert!(read("a: 1").is_err(), "no tests");
    }
}
