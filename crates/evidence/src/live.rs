//! Lists of what there is at this moment, from `/proc` (proc(5)), as JSON.
//!
//! This is what the kernel tells programs. What a rootkit hides from programs is missing here;
//! comparing the two is the cross-view's work.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use metsuke_enforce::EnforceScope;
use metsuke_enforce::host::{self, Seen};
use metsuke_event::Timestamp;
use metsuke_respond::{Artifact, ArtifactKind, Evidence, LiveList};
use serde_json::{Value, json};

use crate::artifact::ArtifactFile;
use crate::reach::Reach;

/// Largest list, in bytes.
const LIST_BYTES_MAX: u64 = 64 << 20;
/// Most descriptors of one process looked at.
const DESCRIPTORS_MAX: usize = 65_536;
/// Network namespaces looked into.
const NAMESPACES_MAX: usize = 256;
/// Tables of `/proc/PID/net` that list sockets.
const TABLES: [&str; 8] = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6", "unix", "packet"];

/// Writes the list to a new file `to`.
///
/// # Errors
/// When it cannot be written.
pub fn list(reach: &Reach, what: LiveList, to: &Path, now: Timestamp) -> io::Result<Evidence> {
    let mut gaps = Vec::new();
    let (name, items) = match what {
        LiveList::Processes => ("processes", processes(reach)),
        LiveList::Sockets => ("sockets", sockets(reach, &mut gaps)),
        LiveList::Modules => ("modules", modules(&mut gaps)),
    };
    if !matches!(reach.scope, EnforceScope::Host) && what != LiveList::Modules {
        gaps.push(format!("only what belongs to processes of the scope {} is listed", reach.scope));
    }
    let count = items.len() as u64;
    let list = json!({ "list": name, "taken": now, "items": items, "gaps": gaps });
    let mut out = ArtifactFile::create(to, LIST_BYTES_MAX)?;
    serde_json::to_writer(&mut out, &list)?;
    out.flush()?;
    let written = out.finish()?;
    let mut evidence = Evidence::new(Artifact {
        kind: ArtifactKind::List,
        name: name.to_owned(),
        size: written.size,
        sha256: written.sha256,
    });
    for gap in &gaps {
        evidence.miss(gap);
    }
    evidence.found_total = count;
    Ok(evidence)
}

fn in_scope(reach: &Reach) -> Vec<Seen> {
    let mut seen = host::all();
    seen.retain(|seen| reach.in_scope(seen.pid).is_ok());
    seen.sort_unstable_by_key(|seen| seen.pid);
    seen
}

fn processes(reach: &Reach) -> Vec<Value> {
    in_scope(reach)
        .into_iter()
        .map(|seen| {
            let status = fs::read_to_string(format!("/proc/{}/status", seen.pid));
            let status = status.unwrap_or_default();
            let line = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name))?;
                Some(line.trim_start_matches(':').split_whitespace().collect::<Vec<_>>().join(" "))
            };
            let exe = host::exe(seen.pid);
            json!({
                "process": seen.key(reach.boot).to_string(),
                "pid": seen.pid,
                "parent_pid": seen.parent,
                "start_ticks": seen.start_ticks,
                "state": seen.state.to_string(),
                "name": line("Name"),
                "uids": line("Uid"),
                "gids": line("Gid"),
                "threads": line("Threads"),
                "resident": line("VmRSS"),
                "tracer_pid": line("TracerPid"),
                "capabilities": line("CapEff"),
                "seccomp": line("Seccomp"),
                "cmd_line": host::cmd_line(seen.pid),
                "cgroup": host::cgroup(seen.pid),
                "exe_deleted": exe.ends_with(" (deleted)"),
                "exe": exe,
            })
        })
        .collect()
}

/// Whom the sockets belong to, by inode.
fn owners(reach: &Reach, gaps: &mut Vec<String>) -> HashMap<u64, Vec<String>> {
    let mut owners: HashMap<u64, Vec<String>> = HashMap::new();
    let mut unread = 0;
    for seen in in_scope(reach) {
        let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", seen.pid)) else {
            unread += 1;
            continue;
        };
        let key = seen.key(reach.boot).to_string();
        for entry in entries.flatten().take(DESCRIPTORS_MAX) {
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let target = target.to_string_lossy();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            let Some(inode) = inode.and_then(|inode| inode.parse().ok()) else { continue };
            let owners = owners.entry(inode).or_default();
            if owners.last() != Some(&key) {
                owners.push(key.clone());
            }
        }
    }
    if unread > 0 {
        gaps.push(format!("the descriptors of {unread} processes could not be read"));
    }
    owners
}

/// One process of each network namespace.
fn namespaces(reach: &Reach, gaps: &mut Vec<String>) -> Vec<(String, u32)> {
    let mut known = HashSet::new();
    let mut found = Vec::new();
    for seen in in_scope(reach) {
        let Ok(space) = fs::read_link(format!("/proc/{}/ns/net", seen.pid)) else { continue };
        let space = space.to_string_lossy().into_owned();
        if known.insert(space.clone()) {
            found.push((space, seen.pid));
        }
    }
    if found.len() > NAMESPACES_MAX {
        gaps.push(format!("{} network namespaces were left out", found.len() - NAMESPACES_MAX));
        found.truncate(NAMESPACES_MAX);
    }
    found
}

fn sockets(reach: &Reach, gaps: &mut Vec<String>) -> Vec<Value> {
    let owners = owners(reach, gaps);
    let is_host = matches!(reach.scope, EnforceScope::Host);
    let mut sockets = Vec::new();
    for (space, pid) in namespaces(reach, gaps) {
        for table in TABLES {
            let text = fs::read_to_string(format!("/proc/{pid}/net/{table}"));
            for line in text.unwrap_or_default().lines().skip(1) {
                let Some((inode, mut socket)) = socket(table, line) else { continue };
                let owners = owners.get(&inode);
                if !is_host && owners.is_none() {
                    continue;
                }
                socket["namespace"] = json!(space);
                socket["inode"] = json!(inode);
                socket["processes"] = json!(owners.cloned().unwrap_or_default());
                sockets.push(socket);
            }
        }
    }
    sockets
}

/// One line of a table: the socket's inode and what else is told.
fn socket(table: &str, line: &str) -> Option<(u64, Value)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match table {
        "unix" => {
            let inode = words.get(6)?.parse().ok()?;
            let path = words.get(7).copied();
            Some((inode, json!({ "table": table, "type": words.get(4), "path": path })))
        }
        "packet" => {
            let inode = words.get(8)?.parse().ok()?;
            Some((inode, json!({ "table": table, "type": words.get(2), "protocol": words.get(3) })))
        }
        _ => {
            let inode = words.get(9)?.parse().ok()?;
            let (local, remote) = (address(words.get(1)?)?, address(words.get(2)?)?);
            let state = if table.starts_with("tcp") { state(words.get(3)?) } else { "" };
            let socket = json!({ "table": table, "local": local, "remote": remote, "state": state,
                "uid": words.get(7) });
            Some((inode, socket))
        }
    }
}

/// `0100007F:1F90` as an address and port: words of 32 bits in the host's order.
fn address(text: &str) -> Option<String> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let ip: std::net::IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        16 => <[u8; 16]>::try_from(bytes).ok()?.into(),
        _ => return None,
    };
    Some(std::net::SocketAddr::new(ip, port).to_string())
}

/// States of TCP (`include/net/tcp_states.h`).
fn state(code: &str) -> &'static str {
    match code {
        "01" => "established",
        "02" => "syn_sent",
        "03" => "syn_received",
        "04" => "fin_wait_1",
        "05" => "fin_wait_2",
        "06" => "time_wait",
        "07" => "closed",
        "08" => "close_wait",
        "09" => "last_ack",
        "0A" => "listening",
        "0B" => "closing",
        _ => "unknown",
    }
}

fn modules(gaps: &mut Vec<String>) -> Vec<Value> {
    let text = fs::read_to_string("/proc/modules").unwrap_or_else(|error| {
        gaps.push(format!("/proc/modules cannot be read ({error}): this kernel has no modules"));
        String::new()
    });
    let listed: Vec<Value> = text
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            json!({ "name": words.first(), "bytes": words.get(1), "used": words.get(2),
                "users": words.get(3), "state": words.get(4), "taint": words.get(6) })
        })
        .collect();
    // `/sys/module` has built-in ones too; only loadable ones have `initstate`.
    let known: HashSet<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    let also = fs::read_dir("/sys/module").into_iter().flatten().flatten();
    let also = also
        .filter(|entry| entry.path().join("initstate").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !known.contains(name.as_str()))
        .map(|name| json!({ "name": name, "only_in": "/sys/module" }));
    let also: Vec<Value> = also.collect();
    listed.into_iter().chain(also).collect()
}

#[cfg(test)]
mod tests {
    use super::{address, socket};

    #[test]
    fn addresses_are_read_in_the_hosts_order() {
        let loopback = format!("{:08X}:1F90", u32::from_ne_bytes([127, 0, 0, 1]));
        assert_eq!(address(&loopback).as_deref(), Some("127.0.0.1:8080"));
        let zero = format!("{}:0000", "0".repeat(32));
        assert_eq!(address(&zero).as_deref(), Some("[::]:0"));
        assert_eq!(address("nonsense"), None);
    }

    #[test]
    fn lines_of_each_table_have_their_inode() {
        let tcp = "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 \
                   1000 0 4711 1 0 100";
        let (inode, value) = socket("tcp", tcp).expect("reads");
        assert_eq!((inode, value["state"].as_str()), (4711, Some("listening")));
        let unix = "0000: 00000002 00000000 00010000 0001 01 815 /run/docker.sock";
        let (inode, value) = socket("unix", unix).expect("reads");
        assert_eq!((inode, value["path"].as_str()), (815, Some("/run/docker.sock")));
        assert!(socket("tcp", "short").is_none());
    }
}
