//! Accounts and groups, from passwd, shadow, group and gshadow (passwd(5), shadow(5), gshadow(5)),
//! and what changed about them.
//!
//! Pure but for the hasher's random key. Invariant: no password hash is kept or told; a password is
//! a state and a keyed digest that tells only whether it is still the same.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use metsuke_event::activity::{AccountActivity, Activity};
use metsuke_event::{Account, Process, Timestamp};

/// Accounts read from one file at most; a host with more is told of the first ones.
const MAX_ACCOUNTS: usize = 65_536;

/// Members of a group told at most, in bytes.
const MAX_MEMBERS: usize = 4_096;

/// A change is told after this long without another, since one command changes up to four files.
const QUIET_NANOS: u64 = 400_000_000;

/// The four files.
pub(super) const PATHS: [&str; 4] = ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"];

/// Which of the two an entry is. Ordered as they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Sort {
    User,
    Group,
}

type Name = (Sort, String);

/// What one file says of one account: values by field, and the password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    fields: BTreeMap<&'static str, String>,
    password: Option<Password>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Password {
    state: &'static str,
    digest: u64,
}

type File = BTreeMap<String, Part>;

/// The four files of one place, as they are and as they were when last told.
#[derive(Debug)]
pub(super) struct Accounts {
    now: [Option<File>; 4],
    told: [Option<File>; 4],
    changed: BTreeMap<Name, (Arc<Process>, Timestamp, &'static str)>,
    due: Option<u64>,
    keys: RandomState,
}

impl Accounts {
    pub(super) fn new() -> Self {
        Self {
            now: [None, None, None, None],
            told: [None, None, None, None],
            changed: BTreeMap::new(),
            due: None,
            keys: RandomState::new(),
        }
    }

    /// What a namespace begins with that shares the files of `other`.
    pub(super) fn like(other: &Self) -> Self {
        let keys = other.keys.clone();
        Self { now: other.told.clone(), told: other.told.clone(), keys, ..Self::new() }
    }

    /// The file at `path` as it stands before anything was seen to change it.
    pub(super) fn learn(&mut self, path: &str, text: &str) {
        let Some(index) = PATHS.iter().position(|known| *known == path) else { return };
        let file = self.parse(index, text);
        self.told[index] = Some(file.clone());
        self.now[index] = Some(file);
    }

    /// The id of the user called `name`.
    pub(super) fn user_id(&self, name: &str) -> Option<u64> {
        self.now[0].as_ref()?.get(name)?.fields.get("uid")?.parse().ok()
    }

    /// The home folders of all users.
    pub(super) fn homes(&self) -> BTreeSet<String> {
        let users = self.now[0].iter().flat_map(BTreeMap::values);
        users.filter_map(|part| part.fields.get("home").cloned()).collect()
    }

    /// `process` changed the file at `path`, which now holds `text` (`None`: it is gone).
    pub(super) fn change(
        &mut self,
        path: &str,
        text: Option<&str>,
        (process, time, now): (&Arc<Process>, Timestamp, u64),
    ) {
        let Some(index) = PATHS.iter().position(|known| *known == path) else { return };
        let file = self.parse(index, text.unwrap_or_default());
        // Never read before: nothing to compare with, so this is what it begins with.
        let Some(before) = &self.now[index] else {
            self.told[index] = Some(file.clone());
            self.now[index] = Some(file);
            return;
        };
        let sort = if index < 2 { Sort::User } else { Sort::Group };
        let names: BTreeSet<&String> = before.keys().chain(file.keys()).collect();
        for name in names.into_iter().filter(|name| before.get(*name) != file.get(*name)) {
            let actor = || (Arc::clone(process), time, PATHS[index]);
            self.changed.entry((sort, name.clone())).or_insert_with(actor);
        }
        self.now[index] = Some(file);
        if !self.changed.is_empty() {
            self.due = Some(now + QUIET_NANOS);
        }
    }

    /// What has changed and been quiet long enough at `now`.
    pub(super) fn due(&mut self, now: u64) -> Vec<(Timestamp, Arc<Process>, Activity)> {
        if self.due.is_none_or(|due| due > now) {
            return Vec::new();
        }
        self.due = None;
        let mut told = Vec::new();
        for ((sort, name), (process, time, path)) in std::mem::take(&mut self.changed) {
            let before = merged(&self.told, sort, &name);
            let after = merged(&self.now, sort, &name);
            if let Some((what, account)) = compare(sort, &name, before, after) {
                let account = Account { path: Some(path.into()), ..account };
                told.push((time, process, Activity::Account(what, account)));
            }
        }
        self.told = self.now.clone();
        told
    }

    fn parse(&self, index: usize, text: &str) -> File {
        let lines = text.lines().filter(|line| !line.starts_with('#')).take(MAX_ACCOUNTS);
        let mut file = File::new();
        for line in lines {
            let fields: Vec<&str> = line.split(':').collect();
            let Some(name) = fields.first().filter(|name| !name.is_empty() && fields.len() > 1)
            else {
                continue;
            };
            // The first line of a name counts, as in the C library.
            file.entry((*name).to_owned()).or_insert_with(|| self.part(index, &fields));
        }
        file
    }

    fn part(&self, index: usize, fields: &[&str]) -> Part {
        let names: &[(usize, &'static str)] = match index {
            0 => &[(2, "uid"), (3, "gid"), (4, "comment"), (5, "home"), (6, "shell")],
            1 => &[(3, "minimum age"), (4, "maximum age"), (6, "inactive"), (7, "expires")],
            2 => &[(2, "gid"), (3, "members")],
            _ => &[(2, "administrators")],
        };
        let mut part = Part::default();
        for (at, name) in names {
            let value = fields.get(*at).copied().unwrap_or_default();
            part.fields.insert(name, value.to_owned());
        }
        let password = fields.get(1).copied().unwrap_or_default();
        // In passwd and group an x only points to the shadow file.
        if index % 2 == 1 || password != "x" {
            part.password = Some(self.password(password));
        }
        part
    }

    fn password(&self, text: &str) -> Password {
        let state = match text {
            "" => "none needed",
            "*" | "!" | "!!" | "!*" | "x" => "locked",
            text if text.starts_with('!') => "locked, kept",
            _ => "set",
        };
        Password { state, digest: self.keys.hash_one(text.trim_start_matches('!')) }
    }
}

/// What the files say together of one account; `None` when there is none.
fn merged(files: &[Option<File>; 4], sort: Sort, name: &str) -> Option<Part> {
    let (main, shadow) = match sort {
        Sort::User => (&files[0], &files[1]),
        Sort::Group => (&files[2], &files[3]),
    };
    let mut part = main.as_ref()?.get(name)?.clone();
    if let Some(extra) = shadow.as_ref().and_then(|file| file.get(name)) {
        part.fields.extend(extra.fields.iter().map(|(field, value)| (*field, value.clone())));
        part.password = part.password.or(extra.password);
    }
    Some(part)
}

fn compare(
    sort: Sort,
    name: &str,
    before: Option<Part>,
    after: Option<Part>,
) -> Option<(AccountActivity, Account)> {
    let what = match (&before, &after) {
        (None, Some(_)) => AccountActivity::Create,
        (Some(_), None) => AccountActivity::Delete,
        (Some(before), Some(after)) if before != after => AccountActivity::Modify,
        _ => return None,
    };
    let diff = difference(before.as_ref().unwrap_or(&Part::default()), after.as_ref());
    let shown = after.or(before)?;
    let text = |field: &str| {
        shown.fields.get(field).filter(|value| !value.is_empty()).map(|value| value.as_str().into())
    };
    let number = |field: &str| shown.fields.get(field).and_then(|value| value.parse().ok());
    let (id, group_id) = match sort {
        Sort::User => (number("uid"), number("gid")),
        Sort::Group => (number("gid"), None),
    };
    let members = shown.fields.get("members").filter(|members| !members.is_empty());
    let members = members.map(|text| text.replace(',', " ").chars().take(MAX_MEMBERS).collect());
    let account = Account {
        name: Some(name.into()),
        id,
        kind: Some(if sort == Sort::User { "user" } else { "group" }.into()),
        diff: (!diff.is_empty()).then(|| diff.join("\n").into()),
        home: text("home"),
        shell: text("shell"),
        members: members.map(|members: String| members.into()),
        group_id,
        path: None,
    };
    Some((what, account))
}

fn difference(before: &Part, after: Option<&Part>) -> Vec<String> {
    let empty = Part::default();
    let after = after.unwrap_or(&empty);
    let fields: BTreeSet<_> = before.fields.keys().chain(after.fields.keys()).collect();
    let value = |part: &Part, field: &str| part.fields.get(field).cloned().unwrap_or_default();
    let mut diff: Vec<String> = fields
        .into_iter()
        .map(|field| (field, value(before, field), value(after, field)))
        .filter(|(_, old, new)| old != new)
        .map(|(field, old, new)| format!("{field}: {old} → {new}"))
        .collect();
    let password = match (before.password, after.password) {
        (old, new) if old == new => None,
        (Some(old), Some(new)) if old.state == new.state => Some("changed"),
        (_, Some(new)) => Some(new.state),
        (_, None) => None,
    };
    diff.extend(password.map(|state| format!("password: {state}")));
    diff
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metsuke_event::activity::{AccountActivity, Activity};
    use metsuke_event::{Account, Process, Timestamp};

    use super::{Accounts, PATHS, QUIET_NANOS};

    const FILES: [&str; 4] = [
        "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/bash\n",
        "root:*:19000:0:99999:7:::\nbob:$y$old:19000:0:99999:7:::\n",
        "root:x:0:\nsudo:x:27:\nbob:x:1000:\n",
        "root:*::\nsudo:*::\nbob:!::\n",
    ];

    fn check(changes: &[(usize, String)], expected: &[(AccountActivity, &str, Option<&str>)]) {
        let mut accounts = Accounts::new();
        for (path, text) in PATHS.iter().zip(FILES) {
            accounts.learn(path, text);
        }
        let process = Arc::new(Process::default());
        for (index, text) in changes {
            accounts.change(PATHS[*index], Some(text), (&process, Timestamp::default(), 1));
        }
        assert!(accounts.due(QUIET_NANOS).is_empty(), "not yet quiet");
        let told: Vec<(AccountActivity, Account)> = accounts
            .due(QUIET_NANOS + 1)
            .into_iter()
            .filter_map(|(_, _, activity)| match activity {
                Activity::Account(what, account) => Some((what, account)),
                _ => None,
            })
            .collect();
        let found: Vec<_> = told
            .iter()
            .map(|(what, account)| {
                (*what, account.name.as_deref().unwrap(), account.diff.as_deref())
            })
            .collect();
        assert_eq!(found, expected);
        assert!(accounts.due(u64::MAX).is_empty(), "told once");
    }

    #[test]
    fn one_command_is_one_change() {
        let added = [
            (2, format!("{}eve:x:1001:\n", FILES[2])),
            (0, format!("{}eve:x:0:1001::/root:/bin/bash\n", FILES[0])),
            (1, format!("{}eve:$y$secret:19000:0:99999:7:::\n", FILES[1])),
            (3, format!("{}eve:!::\n", FILES[3])),
        ];
        check(
            &added,
            &[
                (
                    AccountActivity::Create,
                    "eve",
                    Some(
                        "gid:  → 1001\nhome:  → /root\nmaximum age:  → 99999\nminimum age:  → 0\nshell:  → /bin/bash\nuid:  → 0\npassword: set",
                    ),
                ),
                (AccountActivity::Create, "eve", Some("gid:  → 1001\npassword: locked")),
            ],
        );
    }

    #[test]
    fn changes() {
        let replaced = |index: usize, from: &str, to: &str| {
            assert!(FILES[index].contains(from));
            (index, FILES[index].replace(from, to))
        };
        let modify = AccountActivity::Modify;
        check(&[replaced(1, "$y$old", "$y$new")], &[(modify, "bob", Some("password: changed"))]);
        check(
            &[replaced(1, "$y$old", "!$y$old")],
            &[(modify, "bob", Some("password: locked, kept"))],
        );
        check(&[replaced(1, "$y$old", "")], &[(modify, "bob", Some("password: none needed"))]);
        check(&[replaced(1, "root:*", "root:$y$x")], &[(modify, "root", Some("password: set"))]);
        check(
            &[replaced(2, "sudo:x:27:", "sudo:x:27:bob,eve")],
            &[(modify, "sudo", Some("members:  → bob,eve"))],
        );
        check(
            &[replaced(0, "/bin/sh", "/bin/zsh")],
            &[(modify, "root", Some("shell: /bin/sh → /bin/zsh"))],
        );
        // Written anew without a change; a last change's date alone.
        check(
            &[(0, FILES[0].to_owned()), replaced(1, "bob:$y$old:19000", "bob:$y$old:19001")],
            &[],
        );
        let (gone, shadow) =
            ("bob:x:1000:1000::/home/bob:/bin/bash\n", "bob:$y$old:19000:0:99999:7:::\n");
        let deleted = "gid: 1000 → \nhome: /home/bob → \nmaximum age: 99999 → \nminimum age: 0 → \nshell: /bin/bash → \nuid: 1000 → ";
        check(
            &[replaced(0, gone, ""), replaced(1, shadow, "")],
            &[(AccountActivity::Delete, "bob", Some(deleted))],
        );
    }

    #[test]
    fn no_hash_is_kept() {
        let mut accounts = Accounts::new();
        accounts.learn(PATHS[1], "bob:$y$verysecret:1::::::\n");
        assert!(!format!("{accounts:?}").contains("verysecret"));
    }
}
