//! The work that is watched. Runs in a process of its own, and says what CPU time it took.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::usage::cpu;

/// Names the work, for the process that does it.
pub(crate) const WORK: &str = "METSUKE_BENCH_WORK";
/// The folder of a project of C files that include only each other and the C library.
pub(crate) const PROJECT: &str = "METSUKE_BENCH_PROJECT";

/// What is done, and how often in one round.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) count: u64,
    /// Done before the measured ones; of the build: 0 is a few files.
    pub(crate) warm: u64,
    pub(crate) rounds: usize,
}

const fn operation(name: &'static str, count: u64) -> Operation {
    Operation { name, count, warm: 20, rounds: 15 }
}

pub(crate) const BUILD: &str = "build";

pub(crate) const OPERATIONS: [Operation; 6] = [
    operation("exec", 1_000),
    operation("fork+exec", 1_000),
    operation("open+close", 200_000),
    operation("connect", 10_000),
    operation("create+write+close", 4_000),
    Operation { name: BUILD, count: 1, warm: 0, rounds: 5 },
];

/// Files of the project that are compiled to warm up: enough to have seen the compiler's parts.
const WARM_FILES: usize = 2;

/// Does the work that the environment names, and prints the CPU nanoseconds it took.
pub(crate) fn work(work: &str) {
    let (name, count) = work.split_once(' ').unwrap();
    let count: u64 = count.parse().unwrap();
    let spent = || cpu(libc::RUSAGE_SELF) + cpu(libc::RUSAGE_CHILDREN);
    let dir = std::env::temp_dir().join(format!("metsuke-bench-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let file: PathBuf = dir.join("file");
    fs::write(&file, "x").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let before = spent();
    match name {
        "exec" => (0..count).for_each(|_| {
            assert!(Command::new("/bin/true").status().unwrap().success());
        }),
        "fork+exec" => (0..count).for_each(|_| fork_and_execute()),
        "open+close" => (0..count).for_each(|_| drop(fs::File::open(&file).unwrap())),
        "connect" => (0..count).for_each(|_| {
            let client = TcpStream::connect(address).unwrap();
            drop((listener.accept().unwrap(), client));
        }),
        BUILD => build(count, &dir),
        _ => (0..count).for_each(|number| {
            fs::write(dir.join(format!("f{}", number % 64)), "text").unwrap();
        }),
    }
    println!("{}", spent() - before);
    fs::remove_dir_all(&dir).unwrap();
}

/// The three calls an execution needs, and none of those that a library makes around them
/// (of `exec`'s 164 system calls most are `posix_spawn`'s, which asks for each signal's handler).
fn fork_and_execute() {
    let arguments = [c"/bin/true".as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null()];
    // SAFETY: the child, of a process with one thread, makes two calls whose arguments are
    // constants or live in its copy of this frame; `status` outlives the wait.
    let status = unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::execve(arguments[0], arguments.as_ptr(), environment.as_ptr());
            libc::_exit(127);
        }
        let mut status = 1;
        assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        status
    };
    assert_eq!(status, 0, "/bin/true");
}

/// Compiles the project's files one by one, each with a compiler of its own, and puts them into an
/// archive, as `make` would; `count` 0 is a few files only.
fn build(count: u64, dir: &Path) {
    let project = std::env::var_os(PROJECT).unwrap();
    let mut sources = Vec::new();
    collect(Path::new(&project), &mut sources);
    sources.sort();
    assert!(!sources.is_empty(), "no C files in {}", project.display());
    if count == 0 {
        sources.truncate(WARM_FILES);
    }
    let mut archive = Command::new("ar");
    archive.arg("rc").arg(dir.join("project.a"));
    for (number, source) in sources.iter().enumerate() {
        let object = dir.join(format!("{number}.o"));
        let mut compile = Command::new("cc");
        compile.args(["-O1", "-w", "-c", "-o"]).arg(&object).arg(source);
        assert!(compile.status().unwrap().success(), "{}", source.display());
        archive.arg(object);
    }
    assert!(archive.status().unwrap().success());
}

fn collect(folder: &Path, sources: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            collect(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "c") {
            sources.push(path);
        }
    }
}
