//! `/proc/net` of the calling thread's namespace, as identities.

use std::io;

use super::{ESTABLISHED, LISTEN};
use crate::host;

/// Columns: where the inode stands, and the state when it matters.
#[derive(Clone, Copy)]
struct Table {
    file: &'static str,
    kind: &'static str,
    inode: usize,
}

const TABLES: [Table; 8] = [
    Table { file: "tcp", kind: "tcp", inode: 9 },
    Table { file: "tcp6", kind: "tcp", inode: 9 },
    Table { file: "udp", kind: "udp", inode: 9 },
    Table { file: "udp6", kind: "udp", inode: 9 },
    Table { file: "raw", kind: "raw", inode: 9 },
    Table { file: "raw6", kind: "raw", inode: 9 },
    Table { file: "unix", kind: "unix", inode: 6 },
    Table { file: "packet", kind: "packet", inode: 8 },
];

/// Every socket the tables list. A table that the kernel does not have (IPv6 off) lists none.
pub(super) fn read() -> io::Result<Vec<String>> {
    let mut ids = Vec::new();
    for table in TABLES {
        match host::text(format!("/proc/thread-self/net/{}", table.file)) {
            Ok(text) => ids.extend(rows(&text, table)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && table.file != "tcp" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ids)
}

fn rows(text: &str, table: Table) -> impl Iterator<Item = String> {
    text.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_ascii_whitespace();
        let kind = if table.kind == "tcp" {
            match u16::from_str_radix(words.clone().nth(3)?, 16).ok()? {
                LISTEN => "listen",
                ESTABLISHED => "tcp",
                _ => return None,
            }
        } else {
            table.kind
        };
        let inode: u64 = words.nth(table.inode)?.parse().ok()?;
        (inode != 0).then(|| format!("{kind}:{inode}"))
    })
}

#[cfg(test)]
mod tests {
    use super::{TABLES, rows};

    #[test]
    fn rows_become_identities() {
        let check = |index: usize, line: &str, expect: &[&str]| {
            let text = format!("header\n{line}\n");
            assert_eq!(rows(&text, TABLES[index]).collect::<Vec<_>>(), expect, "{line}");
        };
        let tcp = |state: &str| {
            format!(
                "   0: 0100007F:115C 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 \
                 0 0 4711 1 0000000000000000 100 0 0 10 0"
            )
        };
        check(0, &tcp("0A"), &["listen:4711"]);
        check(0, &tcp("01"), &["tcp:4711"]);
        check(0, &tcp("06"), &[]);
        check(6, "0000000000000000: 00000002 00000000 00010000 0001 01 91 /run/x y", &["unix:91"]);
        check(7, "0000000000000000 3      3    0003   0     1 0      0      92", &["packet:92"]);
    }
}
