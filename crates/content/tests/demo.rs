//! The demo is not known to the content: no shipped detection names what the demo draws or makes up.
//!
//! What an intruder's machine has anyway (`.ssh`, `auth.log`, `/tmp`) may be named, and must be.

use std::collections::BTreeSet;
use std::path::Path;

use metsuke_content::documents;
use metsuke_demo::scene::{Ports, Scene};
use metsuke_demo::seed::Choices;
use metsuke_demo::truth::Scenario;
use metsuke_demo::{intrusion, twin};

const SEEDS: u64 = 50;

/// Path words of the stage that any home or system has.
const COMMON: [&str; 12] = [
    "home",
    "var",
    "log",
    ".aws",
    ".bash_history",
    ".bashrc",
    ".profile",
    ".ssh",
    "auth.log",
    "authorized_keys",
    "credentials",
    "id_ed25519",
];

/// The first port that a system hands out by itself; the demo's ports are such.
const FIRST_FREE_PORT: u32 = 32_768;

/// The far side's ports: numbers that occur nowhere else in a script.
const PORTS: Ports = Ports { http: 40_961, shell: 40_967 };

/// Where `word` stands in `text` with nothing of a word before and after it.
fn stands_in(text: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(inside)
            && !text[at + word.len()..].chars().next().is_some_and(inside)
    })
}

/// A name as `Choices::name` draws it: the word and the number.
fn drawn(name: &str) -> Option<&str> {
    let (word, number) = name.split_once('-')?;
    let good = word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_lowercase());
    (good && number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then_some(word)
}

fn names_in(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
        .filter(|name| drawn(name).is_some())
}

fn walk(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable"))
    {
        found.insert(entry.file_name().into_string().expect("text"));
        if entry.path().is_dir() {
            walk(&entry.path(), found);
        }
    }
}

/// Everything drawn for `seed`, and the path words of its stage.
fn drawn_for(seed: u64, names: &mut BTreeSet<String>, pieces: &mut BTreeSet<String>) {
    for scenario in [Scenario::Intrusion, Scenario::Twin] {
        let place = tempfile::tempdir().expect("temp dir");
        let laid = Scene::lay_out(scenario, seed, Some(place.path())).expect("lays out");
        walk(place.path(), pieces);
        let (scene, choices) = Scene::at(laid.root, scenario, seed);
        let steps = match scenario {
            Scenario::Intrusion => intrusion::steps(&scene, PORTS, choices),
            Scenario::Twin => twin::steps(&scene, PORTS, choices),
        };
        for line in steps.iter().flat_map(|step| &step.script) {
            names.extend(names_in(line).map(str::to_owned));
        }
    }
    names.insert(Choices::new(seed).name());
}

#[test]
fn no_detection_names_what_the_demo_draws() {
    let (mut names, mut pieces) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..SEEDS {
        drawn_for(seed, &mut names, &mut pieces);
    }
    let words: BTreeSet<&str> = names.iter().filter_map(|name| drawn(name)).collect();
    assert!(names.len() > 300 && words.len() > 20, "{} names, {words:?}", names.len());
    pieces.retain(|piece| !COMMON.contains(&piece.as_str()));
    assert!(pieces.contains("plan.txt") && pieces.contains("project"), "{pieces:?}");
    for document in documents() {
        let text = document.text.to_lowercase();
        for name in words.iter().copied().chain(names.iter().map(String::as_str)) {
            assert!(!stands_in(&text, name), "{} names the demo's `{name}`", document.path);
        }
        for piece in &pieces {
            let found = text.contains(&format!("/{}", piece.to_lowercase()));
            assert!(!found, "{} names the demo's path `{piece}`", document.path);
        }
        // The demo's control group and program are `metsuke-demo…`.
        assert!(!text.contains("metsuke-") && !text.contains("cgroup"), "{}", document.path);
        let numbers = text.split(|c: char| !c.is_ascii_alphanumeric());
        let port = numbers
            .filter_map(|number| number.parse::<u32>().ok())
            .find(|number| (FIRST_FREE_PORT..=u32::from(u16::MAX)).contains(number));
        assert_eq!(port, None, "{} names a port as the demo gets them", document.path);
    }
}

#[test]
fn a_word_is_found_whole_and_only_whole() {
    assert!(stands_in("path|contains: '/.cedar-3fa1'", "cedar"));
    assert!(stands_in("cedar", "cedar"));
    assert!(!stands_in("cedars of deltas", "delta"));
    assert_eq!(names_in("r curl -o /tmp/.amber-00ff/kelp-12ab.sh").count(), 2);
    assert_eq!(names_in("no-name here-zzzz").count(), 0);
}
