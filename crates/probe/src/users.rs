//! Names of user ids, from /etc/passwd, read again when the file has changed.

use std::collections::HashMap;
use std::fs;
use std::time::SystemTime;

use metsuke_event::Text;

const PATH: &str = "/etc/passwd";

/// Most users kept; a host with more resolves the first ones.
const MAX_USERS: usize = 65_536;

/// User names by id.
#[derive(Debug, Default)]
pub(crate) struct Users {
    names: HashMap<u64, Text>,
    read: Option<SystemTime>,
}

impl Users {
    /// Reads the file again if it has changed since. Cheap; called about once a second.
    pub(crate) fn refresh(&mut self) {
        let changed = fs::metadata(PATH).and_then(|meta| meta.modified()).ok();
        if changed.is_none() || changed == self.read {
            return;
        }
        if let Ok(bytes) = fs::read(PATH) {
            self.names = parse(&String::from_utf8_lossy(&bytes));
            self.read = changed;
        }
    }

    /// The name of `id`.
    pub(crate) fn name(&self, id: u64) -> Option<Text> {
        self.names.get(&id).cloned()
    }
}

fn parse(text: &str) -> HashMap<u64, Text> {
    let mut names = HashMap::new();
    for line in text.lines().take(MAX_USERS) {
        let mut parts = line.split(':');
        if let (Some(name), Some(_), Some(Ok(id))) =
            (parts.next(), parts.next(), parts.next().map(str::parse))
        {
            // The first entry of an id names it, as in the C library.
            names.entry(id).or_insert_with(|| name.into());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_name_of_an_id_counts() {
        let names =
            super::parse("root:x:0:0::/root:/bin/sh\n# no\ntoor:x:0:0::/:/bin/sh\nbad:x:y\n");
        assert_eq!(names.len(), 1);
        assert_eq!(names[&0].as_ref(), "root");
    }
}
