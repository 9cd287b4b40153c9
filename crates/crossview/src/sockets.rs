//! Sockets: open ones by the kernel's file iterator, and every reachable network namespace's by
//! its socket iterators, `/proc/net` and `sock_diag`.
//!
//! An identity is the socket's inode, behind its kind: `listen:` for listening TCP, `tcp:`, `udp:`,
//! `unix:`, `raw:`, `packet:`.

mod diag;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::host::{self, Groups, Pace};
use crate::kernel::Iterators;
use crate::kernel::record::{self, Socket};
use crate::raw;
use crate::view::{Pass, ProcessRef, Subject, SubjectType, View};

const OF: SubjectType = SubjectType::Socket;

/// Network namespaces looked into at most.
const MAX_NAMESPACES: usize = 1_024;

/// TCP states (`include/net/tcp_states.h`).
pub(crate) const ESTABLISHED: u16 = 1;
pub(crate) const LISTEN: u16 = 10;

/// Where `ip netns` keeps namespaces by name.
const NAMED: &str = "/run/netns";

/// What one namespace shows.
#[derive(Debug)]
struct Shown {
    tables: Result<Vec<String>, String>,
    iterated: Result<Vec<Socket>, String>,
    diagnosed: Result<Vec<String>, String>,
}

/// Looks at them in every way.
pub(crate) fn look(iterators: &Iterators, groups: &Groups) -> Pass {
    let mut pace = Pace::default();
    let own = fs::metadata("/proc/thread-self/ns/net").map_or(0, |meta| meta.ino());
    let reachable = reachable(&mut pace);
    let mut pass = Pass::default();
    let mut tables = View::new("proc_net", OF);
    let mut iterated = View::new("bpf_iter_net", OF);
    let mut diagnosed = View::new("sock_diag", OF);
    let mut own_shown = BTreeSet::new();
    for (namespace, file) in &reachable {
        pace.step();
        let shown = shown_in(file, iterators);
        if *namespace == own {
            own_shown.extend(shown.tables.iter().flatten().cloned());
        }
        keep(&mut tables, shown.tables.map(labelled));
        keep(&mut diagnosed, shown.diagnosed.map(labelled));
        keep(&mut iterated, shown.iterated.map(|sockets| owned(&sockets)));
    }
    let open = iterators.read::<{ record::SOCKET }>("on_open_socket");
    let open: Result<Vec<Socket>, String> =
        open.map(|sockets| sockets.iter().map(record::socket).collect());
    let sockets: &[Socket] = open.as_deref().unwrap_or_default();
    let context =
        Context { own, own_shown, reachable: reachable.keys().copied().collect(), groups };
    context.clues(sockets, &mut pass);
    pass.views.push(context.own_namespace(sockets));
    pass.views.push(context.reachable_namespaces(sockets));
    pass.views.push(View::from_result("bpf_iter_task_file", OF, open.map(|open| owned(&open))));
    pass.views.extend([tables, iterated, diagnosed]);
    pass
}

/// What is known of the namespaces when open sockets are judged.
struct Context<'a> {
    own: u64,
    own_shown: BTreeSet<String>,
    reachable: BTreeSet<u64>,
    groups: &'a Groups,
}

impl Context<'_> {
    /// What the host's own tools owe to show: its namespace, and no container's services. A socket
    /// that does not listen, and one of a container, is not owed.
    fn own_namespace(&self, open: &[Socket]) -> View {
        let mut view = View::new("own_namespace", OF);
        for id in &self.own_shown {
            view.show(id.clone(), Subject::default());
        }
        for (socket, id) in identified(open) {
            if !self.is_foreign(socket, &id) {
                view.show(id, Subject::default());
            }
        }
        view
    }

    fn reachable_namespaces(&self, open: &[Socket]) -> View {
        let mut view = View::new("reachable_namespaces", OF);
        for (socket, id) in identified(open) {
            if self.reachable.contains(&u64::from(socket.netns)) {
                view.show(id, Subject::default());
            }
        }
        view
    }

    fn is_contained(&self, socket: &Socket) -> bool {
        self.groups.is_container(socket.cgroup)
            || host::namespace(socket.pid, "pid")
                .is_some_and(|pids| Some(pids) != host::namespace(std::process::id(), "pid"))
    }

    fn clues(&self, open: &[Socket], pass: &mut Pass) {
        for (socket, id) in identified(open) {
            if !self.reachable.contains(&u64::from(socket.netns)) {
                let detail = format!(
                    "its network namespace {} is that of no process and has no name: no /proc/net \
                     shows it",
                    socket.netns
                );
                pass.clue(OF, &id, "unreachable_namespace", detail);
            } else if self.is_foreign(socket, &id) {
                let detail = format!(
                    "it listens in the network namespace {}, which the host's own tools do not \
                     show, and belongs to no container",
                    socket.netns
                );
                pass.clue(OF, &id, "foreign_namespace", detail);
            }
        }
    }

    /// Whether it listens in another namespace than the host's without being a container's.
    fn is_foreign(&self, socket: &Socket, id: &str) -> bool {
        u64::from(socket.netns) != self.own
            && id.starts_with("listen:")
            && !self.is_contained(socket)
    }
}

/// Adds what a namespace showed; one that could not be looked into spoils the view.
fn keep(view: &mut View, shown: Result<Vec<(String, Subject)>, String>) {
    match shown {
        Ok(shown) => {
            for (id, subject) in shown {
                view.show(id, subject);
            }
        }
        Err(reason) => *view = View::refused(view.name, OF, reason),
    }
}

fn labelled(ids: Vec<String>) -> Vec<(String, Subject)> {
    ids.into_iter().map(|id| (id.clone(), Subject::labelled(id))).collect()
}

/// The kind that `/proc/net` has a table for, with the inode; sockets that are in none (unbound,
/// closing, of other families) have no identity here.
fn identity(socket: &Socket) -> Option<String> {
    if socket.inode == 0 {
        return None;
    }
    let kind = match (socket.family, socket.kind, socket.protocol) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_TCP) => {
            match socket.state {
                LISTEN => "listen",
                ESTABLISHED => "tcp",
                _ => return None,
            }
        }
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_UDP)
            if socket.local.is_some_and(|(_, port)| port != 0) =>
        {
            "udp"
        }
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_RAW, _) => "raw",
        (libc::AF_UNIX, ..) => "unix",
        (libc::AF_PACKET, ..) => "packet",
        _ => return None,
    };
    Some(format!("{kind}:{}", socket.inode))
}

fn identified(sockets: &[Socket]) -> impl Iterator<Item = (&Socket, String)> {
    sockets.iter().filter_map(|socket| Some((socket, identity(socket)?)))
}

fn owned(sockets: &[Socket]) -> Vec<(String, Subject)> {
    identified(sockets)
        .map(|(socket, id)| {
            let kind = id.split(':').next().unwrap_or_default();
            let place = socket.local.map_or_else(String::new, |(address, port)| {
                format!(" {}", std::net::SocketAddr::new(address, port))
            });
            let process = (socket.pid != 0).then(|| ProcessRef {
                pid: socket.pid,
                start_ticks: Some(socket.start_ticks),
                name: socket.name.clone(),
                cgroup: Some(socket.cgroup),
            });
            let owner = process.as_ref().map_or_else(String::new, |process| {
                format!(" of {} {}", process.pid, process.name)
            });
            let label = format!("{kind}{place} (inode {}){owner}", socket.inode);
            (id, Subject { label, process })
        })
        .collect()
}

/// The network namespaces that a process lives in or that have a name.
fn reachable(pace: &mut Pace) -> BTreeMap<u64, File> {
    let mut found = BTreeMap::new();
    let pids = host::listed_pids().unwrap_or_default();
    let of_processes = pids.into_iter().map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")));
    let named = fs::read_dir(NAMED).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in of_processes.chain(named) {
        pace.step();
        let Ok(inode) = fs::metadata(&path).map(|meta| meta.ino()) else { continue };
        if !found.contains_key(&inode)
            && found.len() < MAX_NAMESPACES
            && let Ok(file) = File::open(&path)
        {
            found.insert(inode, file);
        }
    }
    found
}

/// What a namespace shows, seen by a thread that enters it and ends there.
fn shown_in(namespace: &File, iterators: &Iterators) -> Shown {
    let look = || -> Result<Shown, String> {
        raw::enter_network(namespace).map_err(|error| {
            format!("a network namespace cannot be entered: {error}; CAP_SYS_ADMIN is needed")
        })?;
        let iterated =
            ["on_tcp", "on_udp", "on_unix"].into_iter().try_fold(Vec::new(), |mut all, name| {
                let records = iterators.read::<{ record::SOCKET }>(name)?;
                all.extend(records.iter().map(record::socket));
                Ok(all)
            });
        let tables = tables::read().map_err(|error| error.to_string());
        let diagnosed = diag::dump().map_err(|error| format!("sock_diag: {error}"));
        Ok(Shown { tables, iterated, diagnosed })
    };
    let outcome = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("metsuke-netns".to_owned());
        let started = thread.spawn_scoped(scope, look).map_err(|error| error.to_string());
        started.and_then(|thread| {
            thread.join().unwrap_or_else(|_| Err("looking into a namespace broke down".to_owned()))
        })
    });
    outcome.unwrap_or_else(|reason| Shown {
        tables: Err(reason.clone()),
        iterated: Err(reason.clone()),
        diagnosed: Err(reason),
    })
}
