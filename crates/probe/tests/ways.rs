//! Other ways into the kernel than a system call of 64 bits: `io_uring`, and calls of 32 bits. What is
//! done there is told as what it is.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test; unsafe only for system calls without a wrapper"
)]

mod support;

use std::ffi::CString;
use std::fs;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use metsuke_event::coverage::Outcome;
use metsuke_event::{Activity, Event, Kind};
use support::actor::{Actor, call};
use support::{Group, Shown, Table, Watch, path_is, pid_is, row};

fn u(value: impl TryInto<u64>) -> u64 {
    value.try_into().ok().unwrap()
}

const HERE: i32 = libc::AT_FDCWD;

/// A ring with room for one request at a time.
struct Ring {
    fd: u64,
    queues: u64,
    entries: u64,
    offsets: [u32; 30],
}

/// One request: operation, descriptor, and the words of its entry that it needs.
#[derive(Default)]
struct Request {
    operation: u8,
    fd: i32,
    offset: u64,
    address: u64,
    length: u32,
    flags: u32,
    /// Flags of the entry itself.
    wishes: u8,
}

/// `IOSQE_CQE_SKIP_SUCCESS`: no completion is asked for.
const SILENT: u8 = 1 << 6;

impl Request {
    /// As `struct io_uring_sqe`.
    fn words(&self) -> [u32; 16] {
        let halves = |word: u64| {
            [u32::try_from(word & 0xffff_ffff).unwrap(), u32::try_from(word >> 32).unwrap()]
        };
        let ([offset, offset_high], [address, address_high]) =
            (halves(self.offset), halves(self.address));
        let mut words = [0; 16];
        words[..8].copy_from_slice(&[
            u32::from(self.operation) | u32::from(self.wishes) << 8,
            self.fd.cast_unsigned(),
            offset,
            offset_high,
            address,
            address_high,
            self.length,
            self.flags,
        ]);
        words
    }
}

impl Ring {
    fn new() -> Self {
        let mut offsets = [0_u32; 30];
        let fd = call(libc::SYS_io_uring_setup, [4, offsets.as_mut_ptr() as u64, 0, 0, 0, 0]);
        assert!(fd >= 0, "io_uring_setup: {fd}");
        let map = |at: u64| {
            let flags = u(libc::MAP_SHARED | libc::MAP_POPULATE);
            let place = call(libc::SYS_mmap, [0, 4_096, 3, flags, u(fd), at]);
            assert!(place > 0, "{place}");
            u(place)
        };
        Self { fd: u(fd), queues: map(0), entries: map(0x1000_0000), offsets }
    }

    fn word(&self, offset: u32) -> *mut u32 {
        (self.queues + u64::from(offset)) as *mut u32
    }

    /// Submits `request` and waits for `results` of them.
    fn submit(&self, request: &Request, results: u64) {
        // `struct io_sqring_offsets` begins at word 10 of the parameters.
        let (tail, mask, array) = (self.offsets[11], self.offsets[12], self.offsets[16]);
        // SAFETY: offsets that the kernel gave for the two areas that were mapped; nobody else
        // uses the ring.
        unsafe {
            let index = *self.word(tail) & *self.word(mask);
            ((self.entries + u64::from(index) * 64) as *mut [u32; 16]).write(request.words());
            self.word(array).add(index as usize).write(index);
            self.word(tail).write_volatile(*self.word(tail) + 1);
        }
        assert_eq!(call(libc::SYS_io_uring_enter, [self.fd, 1, results, 1, 0, 0]), 1);
    }

    /// Submits `request` and waits for its result.
    fn run(&self, request: &Request) -> i32 {
        self.submit(request, 1);
        // `struct io_cqring_offsets` begins at word 20.
        let (cq_head, cq_mask, cqes) = (self.offsets[20], self.offsets[22], self.offsets[25]);
        // SAFETY: as above.
        unsafe {
            let seen = *self.word(cq_head);
            let result = self.word(cqes).add((seen & *self.word(cq_mask)) as usize * 4 + 2);
            let result = result.read_volatile().cast_signed();
            self.word(cq_head).write_volatile(seen + 1);
            result
        }
    }
}

fn name(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn address_of(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: 2,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
        sin_zero: [0; 8],
    }
}

/// Makes, writes, reads, renames, links and removes files, and connects, by nothing but the ring.
fn work_by_ring(base: &Path, port: u16) {
    let ring = Ring::new();
    let [file, moved, linked, folder, key] =
        ["made", "moved", "linked", "folder", ".ssh/id_ring"].map(|part| name(&base.join(part)));
    let at = |text: &CString| text.as_ptr() as u64;
    let run = |what: &str, request: Request| {
        let result = ring.run(&request);
        assert!(result >= 0, "{what}: {result}");
        result
    };
    let creates = (libc::O_CREAT | libc::O_RDWR).cast_unsigned();
    let open = Request {
        operation: 18,
        fd: HERE,
        address: at(&file),
        length: 0o600,
        flags: creates,
        ..Request::default()
    };
    let fd = run("open", open);
    let bytes = b"by ring".as_ptr() as u64;
    run("write", Request { operation: 23, fd, address: bytes, length: 7, ..Request::default() });
    run("close", Request { operation: 19, fd, ..Request::default() });
    let here = HERE.cast_unsigned();
    let two = |operation, from: &CString, to: &CString| Request {
        operation,
        fd: HERE,
        address: at(from),
        offset: at(to),
        length: here,
        ..Request::default()
    };
    run("rename", two(35, &file, &moved));
    run("link", two(39, &moved, &linked));
    run("unlink", Request { operation: 36, fd: HERE, address: at(&moved), ..Request::default() });
    let mode = 0o700;
    let made = Request {
        operation: 37,
        fd: HERE,
        address: at(&folder),
        length: mode,
        ..Request::default()
    };
    run("mkdir", made);
    run(
        "open the key",
        Request { operation: 18, fd: HERE, address: at(&key), ..Request::default() },
    );
    let missing = Request { operation: 36, fd: HERE, address: at(&file), ..Request::default() };
    assert!(ring.run(&missing) < 0, "it is not there any more");
    remove_silently(&ring, base);
    connect(&ring, port);
}

/// Removes a file by a request that asks for no completion.
fn remove_silently(ring: &Ring, base: &Path) {
    let silent = base.join("silent");
    let path = name(&silent);
    let removed = Request {
        operation: 36,
        fd: HERE,
        address: path.as_ptr() as u64,
        wishes: SILENT,
        ..Request::default()
    };
    ring.submit(&removed, 0);
    let deadline = Instant::now() + Duration::from_secs(60);
    while silent.exists() {
        assert!(Instant::now() < deadline, "it is removed");
        std::thread::yield_now();
    }
}

/// Connects to `port` of this host.
fn connect(ring: &Ring, port: u16) {
    let socket = call(libc::SYS_socket, [2, 1, 0, 0, 0, 0]);
    let to = address_of(port);
    let to = (&raw const to) as u64;
    let connect = Request {
        operation: 16,
        fd: i32::try_from(socket).unwrap(),
        offset: 16,
        address: to,
        ..Request::default()
    };
    assert_eq!(ring.run(&connect), 0, "connect");
}

#[test]
fn what_a_ring_does_is_told() {
    let test = "what_a_ring_does_is_told";
    let Some(group) = Group::make(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(dir.path()).unwrap();
    fs::create_dir(base.join(".ssh")).unwrap();
    fs::write(base.join(".ssh/id_ring"), "key").unwrap();
    fs::write(base.join("silent"), "removed without a completion").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut actor = Actor::fork(&group, || {
        work_by_ring(&base, port);
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    let hooks = watch.coverage().hooks;
    let ring = hooks.iter().find(|trial| trial.hook == "tp_btf/io_uring_complete").unwrap();
    if ring.outcome != Outcome::Works {
        eprintln!("NOT RUN: {test}: {:?}", ring.outcome);
        return;
    }
    actor.act();
    let pid = actor.pid();
    let made = watch.of(Kind::KernelRing, "the ring", |event| pid_is(event, pid));
    let Activity::Kernel(_, kernel) = &made.activity else { unreachable!() };
    assert_eq!((kernel.call.as_deref(), kernel.size), (Some("io_uring_setup"), Some(4)));
    for (kind, part) in [
        (Kind::FileCreate, "made"),
        (Kind::FileModify, "made"),
        (Kind::FileRename, "moved"),
        (Kind::FileDelete, "moved"),
        (Kind::FileDelete, "silent"),
        (Kind::FileRead, ".ssh/id_ring"),
    ] {
        let event = watch.of(kind, part, |event| path_is(event, &base.join(part)));
        assert!(pid_is(&event, pid), "{part}");
        if let (Kind::FileModify, Activity::File(_, file)) = (kind, &event.activity) {
            assert_eq!(file.bytes_written, Some(7));
        }
    }
    for part in ["linked", "folder"] {
        let event = watch.find(part, |event| path_is(event, &base.join(part)));
        assert!(pid_is(&event, pid), "{part}");
    }
    let to = |event: &Event| match &event.activity {
        Activity::Network(_, network) => network.dst_port == Some(u64::from(port)),
        _ => false,
    };
    let event = watch.of(Kind::NetworkConnect, "the connection", to);
    assert!(pid_is(&event, pid));
    actor.end();
    let all = watch.stop();
    let removed = |event: &&Event| {
        event.activity.kind() == Kind::FileDelete && path_is(event, &base.join("made"))
    };
    assert!(!all.iter().any(|event| removed(&event)), "a request that failed is not told");
    row(Table::Evasion, "io_uring", Shown::Seen, "files and connections are told as what they are");
}

/// A system call of 32 bits: what it points to must lie low.
#[cfg(target_arch = "x86_64")]
fn call_32(number: u32, arguments: [u32; 3]) -> i32 {
    let [first, second, third] = arguments.map(u64::from);
    let mut result = u64::from(number);
    // SAFETY: the kernel's 32-bit entry takes these registers and keeps the others but r8 to r11;
    // rbx belongs to the compiler and is put back.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) first => _,
            inout("rax") result,
            in("rcx") second,
            in("rdx") third,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    u32::try_from(result & 0xffff_ffff).unwrap().cast_signed()
}

/// Whether the kernel takes such calls: a child tries, which it may not survive.
fn takes_32_bits() -> bool {
    // SAFETY: the child makes one system call and ends.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            let done = call_32(20, [0; 3]);
            libc::_exit(i32::from(done <= 0));
        }
        let mut status = 0;
        libc::waitpid(pid, &raw mut status, 0) == pid && status == 0
    }
}

/// Makes and removes a file and connects twice, by calls of 32 bits.
fn work_in_32_bits(path: &CString, port: u16) {
    let flags = u(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT);
    let low = call(libc::SYS_mmap, [0, 4_096, 3, flags, u64::MAX, 0]);
    assert!(low > 0);
    let low = u32::try_from(low).unwrap();
    let bytes = path.as_bytes_with_nul();
    let to = address_of(port);
    let socket = call(libc::SYS_socket, [2, 1, 0, 0, 0, 0]);
    let socket = u32::try_from(socket).unwrap();
    // SAFETY: a page mapped for this, with room for all three.
    unsafe {
        let place = low as usize;
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), place as *mut u8, bytes.len());
        ((place + 2_048) as *mut libc::sockaddr_in).write(to);
        ((place + 3_072) as *mut [u32; 3]).write([socket, low + 2_048, 16]);
    }
    let fd = call_32(8, [low, 0o600, 0]);
    assert!(fd >= 0, "creat: {fd}");
    assert_eq!(call_32(4, [fd.cast_unsigned(), low, 5]), 5, "write");
    assert_eq!(call_32(6, [fd.cast_unsigned(), 0, 0]), 0, "close");
    assert_eq!(call_32(102, [3, low + 3_072, 0]), 0, "connect by socketcall");
    assert_eq!(call_32(10, [low, 0, 0]), 0, "unlink");
}

#[test]
fn calls_of_32_bits_are_told() {
    let test = "calls_of_32_bits_are_told";
    let Some(group) = Group::make(test) else { return };
    if !takes_32_bits() {
        eprintln!("NOT RUN: {test}: this kernel takes no calls of 32 bits");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap().join("narrow");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut actor = Actor::fork(&group, || {
        work_in_32_bits(&name(&path), port);
        Vec::new()
    });
    let Some(mut watch) = Watch::tracing(&group, test) else { return };
    actor.act();
    for kind in [Kind::FileCreate, Kind::FileModify, Kind::FileDelete] {
        let event = watch.of(kind, "the file", |event| path_is(event, &path));
        assert!(pid_is(&event, actor.pid()), "{kind:?}");
        if let (Kind::FileModify, Activity::File(_, file)) = (kind, &event.activity) {
            assert_eq!(file.bytes_written, Some(5));
        }
    }
    let event = watch.of(Kind::NetworkConnect, "the connection", |event| match &event.activity {
        Activity::Network(_, network) => network.dst_port == Some(u64::from(port)),
        _ => false,
    });
    assert!(pid_is(&event, actor.pid()));
    row(Table::Evasion, "32-bit system calls", Shown::Seen, "told like those of 64 bits");
}
