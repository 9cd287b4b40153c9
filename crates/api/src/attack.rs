//! Names of ATT&CK techniques (MITRE ATT&CK, enterprise): those that shipped content speaks of, and
//! their parents. A technique without a name here is shown by its id.

/// One technique a line, `ID NAME`, in the order of the ids; lines with `#` are for people.
const TABLE: &str = include_str!("../../../content/attack-names.txt");

fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' '))
}

/// The name of technique `id`.
pub(crate) fn name(id: &str) -> Option<&'static str> {
    names().find(|(known, _)| *known == id).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::{Path, PathBuf};

    use super::{name, names};

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    /// Every technique id in the files below `folder`, as `T1059.004` or Sigma's `attack.t1059.004`.
    fn collect(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.');
            found.extend(words.filter_map(technique));
        }
    }

    fn technique(word: &str) -> Option<String> {
        let id = word.strip_prefix("attack.").unwrap_or(word).trim_end_matches('.').to_uppercase();
        let digits = |text: &str, count| {
            text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        let (main, sub) = id.strip_prefix('T')?.split_once('.').unwrap_or((&id[1..], "000"));
        (digits(main, 4) && digits(sub, 3)).then_some(id)
    }

    #[test]
    fn each_name_stands_once() {
        let ids: Vec<&str> = names().map(|(id, _)| id).collect();
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(name("T1059.004"), Some("Unix Shell"));
        assert_eq!(name("T9999"), None);
    }

    #[test]
    fn every_technique_that_ships_has_its_name() {
        let mut ids = BTreeSet::new();
        for folder in ["content/filters", "content/rules", "content/models", "crates/demo/src"] {
            collect(&root().join(folder), &mut ids);
        }
        assert!(ids.contains("T1070.009") && ids.len() > 40, "read too little: {ids:?}");
        let parents: Vec<_> =
            ids.iter().filter_map(|id| Some(id.split_once('.')?.0.to_owned())).collect();
        ids.extend(parents);
        let bare: Vec<_> = ids.iter().filter(|id| name(id).is_none()).collect();
        assert!(bare.is_empty(), "no name in content/attack-names.txt: {bare:?}");
    }

    #[test]
    fn names_are_those_of_the_public_list() {
        let folder = std::env::var_os("METSUKE_SHARED_DATA")
            .map_or_else(|| root().join("../shared/data"), PathBuf::from);
        let path = folder.join("attack/techniques.json");
        let Ok(text) = std::fs::read_to_string(&path) else {
            eprintln!(
                "NOT RUN: names_are_those_of_the_public_list: no {} (set METSUKE_SHARED_DATA)",
                path.display()
            );
            return;
        };
        let list: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
        for (id, name) in names() {
            assert_eq!(list.get(id).map(|known| &known["name"]), Some(&name.into()), "{id}");
        }
    }
}
