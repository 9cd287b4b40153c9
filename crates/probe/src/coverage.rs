//! The report of what was tried, what works and what stays unseen.

use metsuke_event::coverage::{BlindSpot, Coverage, HookTrial, Outcome, Tier};

use crate::host;

/// The hook that shows what programs do through `io_uring`.
pub(crate) const RING_HOOK: &str = "tp_btf/io_uring_complete";

/// The outcome of trying one hook.
pub(crate) fn hook(tier: Tier, hook: &str, purpose: &str, outcome: Outcome) -> HookTrial {
    HookTrial { tier, hook: hook.to_owned(), purpose: purpose.to_owned(), outcome }
}

/// The whole report.
pub(crate) fn report(tier: Tier, hooks: Vec<HookTrial>, sees: &[&str]) -> Coverage {
    Coverage {
        tier,
        blind: blind(tier, &hooks, sees),
        hooks,
        facts: host::facts(),
        sees: sees.iter().map(|name| (*name).to_owned()).collect(),
        detections: Vec::new(),
    }
}

fn spot(code: &str, activities: &[&str], reason: &str) -> BlindSpot {
    BlindSpot {
        code: code.to_owned(),
        activities: activities.iter().map(|name| (*name).to_owned()).collect(),
        reason: reason.to_owned(),
    }
}

/// What tier 2 delivers.
pub(crate) fn tracing(modules: bool) -> Vec<&'static str> {
    let mut sees = vec![
        "process.fork",
        "process.exec",
        "process.exit",
        "file.create",
        "file.modify",
        "file.delete",
        "file.rename",
        "file.read",
        "file.link",
        "file.attributes",
        "file.mount",
        "file.unmount",
        "file.raw_access",
        "network.connect",
        "network.accept",
        "network.listen",
        "network.bind",
        "network.raw_socket",
        "network.close",
        "dns.query",
        "process.set_user_id",
        "process.rename",
        "process.namespace",
        "process.access",
        "process.inject",
        "process.signal",
        "memory.map",
        "memory.protect",
        "memory.create_file",
        "image.load",
        "bpf.load",
        "bpf.attach",
        "bpf.detach",
        "kernel.kexec",
        "kernel.setting",
        "kernel.io_uring",
        "tls.client_hello",
        "sensor.health",
    ];
    if modules {
        sees.extend(["module.load", "module.unload"]);
    }
    sees
}

fn blind(tier: Tier, hooks: &[HookTrial], sees: &[&str]) -> Vec<BlindSpot> {
    let mut spots = match tier {
        Tier::Lsm | Tier::Tracing => blind_tracing(hooks),
        Tier::Interfaces => blind_interfaces(sees),
    };
    spots.push(spot(
        "encrypted_dns",
        &["dns.query"],
        "questions over TLS, HTTPS or QUIC, or asked of a local resolver by another way than DNS, are not read; the flows are seen. Tier 3 reads none at all",
    ));
    for (class, code) in [
        ("module.load", "kernel_modules"),
        ("dns.query", "dns"),
        ("network.connect", "flows"),
        ("file.read", "sensitive_reads"),
        ("file.modify", "files"),
    ] {
        if !sees.contains(&class) {
            let reason = "no hook of the tier in force delivers it; the refused hooks say why";
            spots.push(spot(code, &[class], reason));
        }
    }
    spots
}

fn blind_tracing(hooks: &[HookTrial]) -> Vec<BlindSpot> {
    let calls = [
        "file.create",
        "file.modify",
        "file.delete",
        "file.rename",
        "file.read",
        "network.connect",
        "network.accept",
        "network.listen",
    ];
    let rings =
        hooks.iter().any(|trial| trial.hook == RING_HOOK && trial.outcome == Outcome::Works);
    let unseen = if rings {
        "of what a program does through io_uring these are not seen: connections and listeners on descriptors that only the ring's own table holds (files there are told when they are read or written), DNS and TLS within sends and receives, and files opened without a completion being asked for; other operations without one are told as asked for, whether they succeed or not"
    } else {
        "files and sockets that a program uses through io_uring make no system calls of their own"
    };
    vec![
        spot("io_uring", &calls, unseen),
        spot(
            "32_bit_messages",
            &["dns.query", "network.connect"],
            "of 32-bit programs message headers (sendmsg, recvmsg) are not read: DNS asked that way, and datagrams' destinations, are missed; their files, connections and processes are seen",
        ),
        spot(
            "interpreter_image",
            &["image.load"],
            "the loader (ld.so) and the executable are mapped by the kernel itself and told with the execution; a pair of executable and library is told once an hour, with a count",
        ),
        spot(
            "bpf_by_netlink",
            &["bpf.attach", "bpf.detach"],
            "programs that netlink attaches to an interface or queue, and links that end because their last descriptor is closed, make no call of bpf(2); the loading is seen",
        ),
        spot(
            "debug_registers_of_children",
            &["process.access"],
            "what a debugger reads of a child that asked to be traced is not told; what it writes is",
        ),
        spot(
            "greetings_in_other_forms",
            &["tls.client_hello"],
            "a TLS greeting is read where it is the first thing in one of a flow's first eight writes: not of QUIC or DTLS, not by io_uring, not from a kernel that does TLS; of one that is split over writes only the beginning",
        ),
        spot(
            "datagrams_by_duplicates",
            &["network.close"],
            "datagrams are counted by socket and told when the descriptor that first sent or received is closed, or its process ends; through a duplicate they are told with the process's end",
        ),
        spot(
            "attributes_before",
            &["file.attributes"],
            "mode, owner and times as they were before the change are not known: the call is read when it has returned",
        ),
        spot(
            "mapped_writes",
            &["file.modify"],
            "changes through a shared memory mapping make no system call; the file's creation is seen",
        ),
    ]
}

fn blind_interfaces(sees: &[&str]) -> Vec<BlindSpot> {
    let mut spots = vec![
        spot(
            "short_lived_details",
            &["process.exec"],
            "a process is described by reading /proc after the kernel's notice: of one that ends within a millisecond the arguments, directory and hash may be missing",
        ),
        spot(
            "short_lived_flows",
            &["network.connect", "network.accept", "network.listen"],
            "sockets are found by reading /proc twice a second: shorter flows are missed",
        ),
        spot(
            "sensitive_patterns",
            &["file.read"],
            "only sensitive files with a fixed path that exist at the start are watched",
        ),
    ];
    if !sees.contains(&"process.fork") {
        spots.push(spot(
            "short_lived_processes",
            &["process.exec", "process.exit"],
            "processes are found by reading /proc in rounds: what lives shorter than a round is missed; run as root for the proc connector or BPF",
        ));
    }
    spots
}
