//! What a filter leaves out must not be easy to imitate: an exclusion names programs by a path that only
//! root can write, command lines as a whole, files by where they lie. A name without its folder, or a
//! word somewhere in a command line, is no exclusion but a way in.
//!
//! Each exclusion that is left as it is stands in [`ACCEPTED`] with its reason; samples `imitated*.json` in
//! `fires/` try the others.

#![expect(clippy::panic, reason = "a test says what is wrong by failing")]

use std::collections::BTreeSet;

use metsuke_content::documents;
use saphyr::{LoadableYamlNode as _, Yaml};

/// Folders that only root can write to, as they begin a path.
const ROOTS: [&str; 10] =
    ["usr", "bin", "sbin", "lib", "lib64", "opt", "snap", "etc", "nix", "gnu"];

/// Fields whose text whoever runs a program picks freely.
const PICKED: [&str; 8] = [
    "Image",
    "ParentImage",
    "CommandLine",
    "ParentCommandLine",
    "CurrentDirectory",
    "TargetFilename",
    "BackingFile",
    "ScriptContent",
];

/// Exclusions that can be imitated and stay: the filter, the selection, and why.
const ACCEPTED: &[(&str, &str, &str)] = &[
    (
        "deleted_execution",
        "memory",
        "only memory files have such an image, and memory_execution tells them",
    ),
    (
        "document_created",
        "scratch",
        "only counted (informational); models and rules weigh what is in users' folders",
    ),
    (
        "document_gets_new_ending",
        "known",
        "only counted; endings of ransom are told by file_gets_ransom_ending, whatever else",
    ),
    (
        "document_rewritten",
        "scratch",
        "only counted; folders of builds and caches would drown what is counted",
    ),
    ("file_deleted_from_home", "scratch", "only counted; as document_rewritten"),
    (
        "hidden_file_in_system_folder",
        "known",
        "exact names that packages ship; running such a file is told by its own filters",
    ),
    (
        "persistence_removed",
        "temporary",
        "hides no more than that a file of such a name was removed; writing it is told",
    ),
    (
        "private_key_read",
        "public",
        "whoever can give a private key this name has it already; it is the public half's",
    ),
    (
        "program_in_hidden_folder",
        "known",
        "low: the folders in homes where tools live by themselves; what they do is told",
    ),
    (
        "service_name_in_wrong_place",
        "bundled",
        "folders of container engines below /var and /run, which only root can write",
    ),
];

/// The names of selections that a condition negates: `not a`, `not 1 of a*`, `not (a or b)`.
fn negated(condition: &str) -> BTreeSet<String> {
    let spaced = condition.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut found = BTreeSet::new();
    for (at, _) in words.iter().enumerate().filter(|(_, word)| word.eq_ignore_ascii_case("not")) {
        let mut depth = 0;
        for word in &words[at + 1..] {
            match *word {
                "(" => depth += 1,
                ")" => depth -= 1,
                "1" | "any" | "all" | "of" | "or" | "and" | "not" => continue,
                name => {
                    found.insert(name.to_owned());
                }
            }
            if depth <= 0 {
                break;
            }
        }
    }
    found
}

/// The parts of a regular expression between its `|`s that stand in no bracket.
fn alternatives(pattern: &str) -> Vec<&str> {
    let (mut depth, mut class, mut escaped, mut from) = (0, false, false, 0);
    let mut parts = Vec::new();
    for (at, letter) in pattern.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => class = true,
            ']' => class = false,
            '(' if !class => depth += 1,
            ')' if !class => depth -= 1,
            '|' if !class && depth == 0 => {
                parts.push(&pattern[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&pattern[from..]);
    parts
}

/// Whether a path, or a regular expression of one after its `^`, begins below [`ROOTS`].
fn below_roots(path: &str) -> bool {
    if let Some(rest) = path.strip_prefix("(/usr)?/") {
        return below_roots(&format!("/{rest}"));
    }
    let Some(rest) = path.strip_prefix('/') else { return false };
    let first = match rest.strip_prefix('(') {
        Some(group) => group.split_once(')').filter(|(_, after)| after.starts_with('/')),
        None => rest.split_once('/'),
    };
    let Some((first, _)) = first else { return false };
    first.split('|').all(|folder| ROOTS.contains(&folder) || folder == "s?bin")
}

/// Options of an interpreter, whichever: one that takes a value swallows what is trusted, and what
/// comes behind it is run (`python3 -X /usr/bin/certbot /tmp/x.py`).
const ANY_OPTION: [&str; 5] =
    ["(-\\S+ )*", "(-\\S+\\s+)*", "(-[A-Za-z]+ )*", "(-[\\w=-]+ )*", "(--?[\\w=-]+ )*"];

/// Fields with a command line, each with the program that it is the line of: who runs a program picks
/// the whole line, its first word too (`exec -a 'sh -c locale -a' ./x`).
const LINES: [(&str, &str); 2] = [("CommandLine", "Image"), ("ParentCommandLine", "ParentImage")];

/// Whether one value of an exclusion cannot be had by picking a name.
fn firm(field: &str, modifiers: &str, value: &str) -> bool {
    let program = matches!(field, "Image" | "ParentImage");
    match modifiers {
        "re" if program => {
            alternatives(value).iter().all(|one| one.strip_prefix('^').is_some_and(below_roots))
        }
        "re" if matches!(field, "TargetFilename" | "CurrentDirectory") => {
            alternatives(value).iter().all(|one| one.starts_with("^/"))
        }
        "re" => alternatives(value)
            .iter()
            .all(|one| one.starts_with('^') && one.ends_with('$') && !one.starts_with("^.*")),
        "" | "startswith" if program => below_roots(value) && !value.contains('*'),
        "" | "startswith" => value.starts_with('/') && !value.contains('*'),
        _ => false,
    }
}

/// Fields and values of one mapping of a selection: `(field, modifiers, values)`.
fn items(map: &Yaml<'_>) -> Vec<(String, String, Vec<String>)> {
    let text = |value: &Yaml<'_>| value.as_str().unwrap_or_default().to_owned();
    let entries = map.as_mapping().into_iter().flatten();
    let item = |(key, value): (&Yaml<'_>, &Yaml<'_>)| {
        let key = text(key);
        let (field, modifiers) = key.split_once('|').unwrap_or((&key, ""));
        let values = match value.as_vec() {
            Some(list) => list.iter().map(text).collect(),
            None => vec![text(value)],
        };
        (field.to_owned(), modifiers.to_owned(), values)
    };
    entries.map(item).collect()
}

/// Whether an exclusion (a mapping, or a list of them) can be had by picking names.
fn can_be_imitated(selection: &Yaml<'_>) -> bool {
    let maps: Vec<&Yaml<'_>> = match selection.as_vec() {
        Some(list) => list.iter().collect(),
        None => vec![selection],
    };
    maps.into_iter().any(|map| {
        let picked: Vec<_> =
            items(map).into_iter().filter(|(field, ..)| PICKED.contains(&field.as_str())).collect();
        let line = |field: &str| LINES.iter().find(|(line, _)| *line == field).map(|(_, of)| *of);
        let held = picked.iter().any(|(field, modifiers, values)| {
            line(field).is_none() && values.iter().all(|value| firm(field, modifiers, value))
        });
        let swallows = picked.iter().any(|(field, _, values)| {
            let any = |value: &String| ANY_OPTION.iter().any(|options| value.contains(options));
            line(field).is_some() && values.iter().any(any)
        });
        !picked.is_empty() && (!held || swallows)
    })
}

/// Exclusions of a document that can be imitated.
fn found_in(text: &str) -> BTreeSet<String> {
    let documents = Yaml::load_from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let Some(detection) = documents.first().and_then(|one| one.as_mapping_get("detection")) else {
        return BTreeSet::new();
    };
    let condition = detection.as_mapping_get("condition");
    let conditions: Vec<&str> = match condition.and_then(Yaml::as_vec) {
        Some(list) => list.iter().filter_map(Yaml::as_str).collect(),
        None => condition.and_then(Yaml::as_str).into_iter().collect(),
    };
    let names: BTreeSet<String> = conditions.into_iter().flat_map(negated).collect();
    let selections = detection.as_mapping().into_iter().flatten();
    let mut found = BTreeSet::new();
    for (name, selection) in selections {
        let name = name.as_str().unwrap_or_default();
        let meant = |one: &String| {
            one.strip_suffix('*').map_or(one == name, |begin| name.starts_with(begin))
        };
        if names.iter().any(meant) && can_be_imitated(selection) {
            found.insert(name.to_owned());
        }
    }
    found
}

#[test]
fn no_exclusion_can_be_had_by_picking_a_name() {
    let mut found = BTreeSet::new();
    for document in documents() {
        let filter = document.path.split('/').nth(2).unwrap_or_default();
        found.extend(found_in(&document.text).into_iter().map(|one| (filter.to_owned(), one)));
    }
    let accepted: BTreeSet<(String, String)> =
        ACCEPTED.iter().map(|(filter, one, _)| ((*filter).to_owned(), (*one).to_owned())).collect();
    let open = found.difference(&accepted).map(|one| format!("{one:?} can be imitated"));
    let needless = accepted.difference(&found).map(|one| format!("{one:?} need not be accepted"));
    let wrong: Vec<String> = open.chain(needless).collect();
    assert!(ACCEPTED.iter().all(|(.., why)| why.len() > 20), "say why");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_check_tells_names_from_places() {
    let of = |selection: &str| {
        let text =
            format!("detection:\n  a: {{x: 1}}\n  b: {selection}\n  condition: a and not b\n");
        !found_in(&text).is_empty()
    };
    for open in [
        "{Image|endswith: '/dpkg'}",
        "{Image|re: '/(dpkg|rpm)$'}",
        "{Image|re: '^/(usr|tmp)/(.*/)?dpkg$'}",
        "{Image|re: '^/usr/bin/dpkg$|/rpm$'}",
        "{CommandLine|contains: procmail}",
        "{ParentCommandLine|re: '^sh /etc/cron.daily/'}",
        "[{Image: /usr/bin/dpkg}, {Image: dpkg}]",
        r"{Image: /usr/bin/python3, CommandLine|re: '^python3 (-[A-Za-z]+ )*/usr/bin/certbot( .*)?$'}",
        r"{Image: /usr/bin/perl, CommandLine|re: '^perl (-\S+ )*/usr/sbin/adduser( .*)?$'}",
        "{CommandLine|re: '^sh -c locale -a$'}",
        "{ParentCommandLine|re: '^sh /etc/cron.daily/x$'}",
        "{BackingFile|contains: jit}",
    ] {
        assert!(of(open), "{open} is not told");
    }
    for firm in [
        "{Image: [/usr/bin/dpkg, /sbin/apk]}",
        "{Image|re: '^/(usr|opt)/(.*/)?(dpkg|rpm)$'}",
        "{Image|re: '^(/usr)?/bin/(tar|cp)$', TargetFilename|contains: x}",
        "{Image: /usr/bin/dash, CommandLine|re: '^sh -c locale -a$'}",
        "{Image|re: '^/usr/bin/python3$', CommandLine|re: '^python3 (-[BI]+ )*/usr/bin/certbot( .*)?$'}",
        "{DestinationPort: [53, 0]}",
    ] {
        assert!(!of(firm), "{firm} is told");
    }
    assert_eq!(negated("a and not (b or c) and not 1 of d* and (not e or f)").len(), 4);
}
