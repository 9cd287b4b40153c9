//! Accounts, from passwd(5), group(5) and shadow(5). No hash leaves this file.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use metsuke_event::inventory::{Item, LeftOut, Password, User};

/// Largest of the three files read: a million accounts are not local ones.
const FILE_MAX: u64 = 8 << 20;
/// Most accounts kept.
const USERS_MAX: usize = 10_000;
/// Most groups told of one account.
const GROUPS_MAX: usize = 256;

/// Reads a small file; the error says which and why.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let meta = fs::metadata(path).map_err(told)?;
    if !meta.is_file() || meta.len() > FILE_MAX {
        return Err(format!("{}: no file of at most {FILE_MAX} bytes", path.display()));
    }
    Ok(String::from_utf8_lossy(&fs::read(path).map_err(told)?).into_owned())
}

fn password(field: Option<&&str>) -> Password {
    match field {
        None => Password::Unknown,
        Some(&"") => Password::Empty,
        // passwd(1): `!` before a hash locks it; alone, as `*`, it never was one.
        Some(field) => match field.strip_prefix('!') {
            Some(rest) if rest.trim_start_matches('!').starts_with('$') => Password::Locked,
            Some(_) => Password::Disabled,
            None if field.starts_with('*') => Password::Disabled,
            None => Password::Set,
        },
    }
}

/// Accounts out of the three files' texts.
pub(crate) fn parse(passwd: &str, group: &str, shadow: Option<&str>) -> Vec<User> {
    let mut names = HashMap::new();
    let mut members: HashMap<&str, Vec<&str>> = HashMap::new();
    for line in group.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(_), Some(gid)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        if let Ok(gid) = gid.parse::<u32>() {
            names.entry(gid).or_insert(name);
        }
        for user in fields.next().unwrap_or_default().split(',').filter(|user| !user.is_empty()) {
            members.entry(user).or_default().push(name);
        }
    }
    let shadow: HashMap<&str, &str> = shadow
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, rest)| (name, rest.split(':').next().unwrap_or_default()))
        .collect();
    let account = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, secret, uid, gid, _, home, shell] = fields[..] else { return None };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        let main = names.get(&gid).map_or_else(|| gid.to_string(), |name| (*name).to_owned());
        let others = members.get(name).into_iter().flatten().map(|group| (*group).to_owned());
        let mut groups = vec![main];
        groups.extend(others.take(GROUPS_MAX));
        groups[1..].sort_unstable();
        groups.dedup();
        // `x` says that shadow has it.
        let password =
            if secret == "x" { password(shadow.get(name)) } else { password(Some(&secret)) };
        Some(User {
            name: name.to_owned(),
            uid,
            gid,
            home: home.to_owned(),
            shell: shell.to_owned(),
            groups,
            password,
        })
    };
    passwd.lines().filter_map(account).collect()
}

/// The accounts below `root`.
pub(crate) fn take(root: &Path) -> Result<(Vec<Item>, Vec<LeftOut>), String> {
    let passwd = read(&root.join("etc/passwd"))?;
    let group = read(&root.join("etc/group")).unwrap_or_default();
    let shadow = read(&root.join("etc/shadow"));
    let mut users = parse(&passwd, &group, shadow.as_deref().ok());
    let mut left_out = Vec::new();
    let lines = passwd.lines().filter(|line| !line.trim().is_empty()).count();
    if lines > users.len() {
        left_out.push(LeftOut {
            reason: "broken_line".to_owned(),
            count: (lines - users.len()) as u64,
            example: "/etc/passwd".to_owned(),
        });
    }
    if let Some(rest) = users.len().checked_sub(USERS_MAX).filter(|rest| *rest > 0) {
        let example = users[USERS_MAX].name.clone();
        left_out.push(LeftOut { reason: "limit".to_owned(), count: rest as u64, example });
        users.truncate(USERS_MAX);
    }
    // The last of two with one name is the one nobody can become; the first counts (getpwnam).
    let mut seen = std::collections::HashSet::new();
    users.retain(|user| seen.insert(user.name.clone()));
    Ok((users.into_iter().map(Item::User).collect(), left_out))
}

#[cfg(test)]
mod tests {
    use super::parse;
    use metsuke_event::inventory::Password;

    #[test]
    fn accounts_with_groups_and_lock_state() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/zsh\n\
            svc:*:7:7::/:/usr/sbin/nologin\nbroken:x:a\nold::9:9::/:/bin/sh\neve:x:2:2::/:/bin/sh";
        let group = "root:x:0:\nann:x:1000:\nsudo:x:27:ann,eve\nadm:x:4:ann";
        let shadow = "root:$6$salt$hash:1\nann:!$6$salt$hash:1\neve:!*:1";
        let users = parse(passwd, group, Some(shadow));
        let of = |name: &str| users.iter().find(|user| user.name == name).expect("there");
        assert_eq!(users.len(), 5);
        assert_eq!(of("root").password, Password::Set);
        assert_eq!(of("ann").password, Password::Locked);
        assert_eq!(of("ann").groups, ["ann", "adm", "sudo"]);
        assert_eq!(of("svc").password, Password::Disabled);
        assert_eq!(of("svc").groups, ["7"], "a group without a name");
        assert_eq!(of("old").password, Password::Empty);
        assert_eq!(of("eve").password, Password::Disabled);
        assert!(!format!("{users:?}").contains("salt"), "no hash is kept");
        assert_eq!(parse("a:x:1:1::/:/b", "", None)[0].password, Password::Unknown);
    }
}
