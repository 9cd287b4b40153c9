//! The cases of tier 1: what is denied, by what, and what is done that should meet it.
//!
//! Each is prepared anew for each of its runs, so that a copy is always one never seen before.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use metsuke_enforce::deny::{Mode, Operations, Subject};

use crate::tiny::{program, put, salt, sha256};
use crate::world::{Deed, Sleeper, Went, World, act};

/// The module that is loaded: it makes network devices that nobody uses.
pub(crate) const MODULE: &str = "dummy";

/// One case.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) operation: Operations,
    pub(crate) prepare: fn(&mut World) -> Result<Prepared>,
}

/// A case, ready.
pub(crate) struct Prepared {
    pub(crate) subject: Subject,
    pub(crate) deed: Deed,
    /// Held until the deed is done.
    pub(crate) held: Option<Sleeper>,
}

#[expect(clippy::unnecessary_wraps, reason = "what a case's preparation ends with")]
fn ready(subject: Subject, deed: Deed) -> Result<Prepared> {
    Ok(Prepared { subject, deed, held: None })
}

fn fresh(name: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("/tmp/{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

/// A program like no other, and its hash.
fn copy() -> Result<(PathBuf, [u8; 32])> {
    let (path, bytes) = (fresh("copy"), program());
    put(&path, &bytes)?;
    Ok((path, sha256(&bytes)))
}

/// A copy of the guest like no other, and its hash.
fn actor() -> Result<(PathBuf, [u8; 32])> {
    let (path, mut bytes) = (fresh("actor"), fs::read("/guest")?);
    bytes.extend(salt().as_bytes());
    put(&path, &bytes)?;
    Ok((path, sha256(&bytes)))
}

fn inode(path: &Path) -> Result<Subject> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::metadata(path)?;
    Ok(Subject::Inode { device: meta.dev(), inode: meta.ino() })
}

fn by_actor(words: &[&str]) -> Result<Prepared> {
    let (path, hash) = actor()?;
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    ready(Subject::Sha256(hash), Deed::Role(path, words))
}

fn to(network: &str, bits: u8, port: Option<u16>, deed: &[&str]) -> Result<Prepared> {
    let subject = Subject::Destination { address: network.parse()?, bits, port };
    ready(subject, Deed::role(deed))
}

fn module(subject: impl FnOnce(&Path) -> Result<Subject>, how: &str) -> Result<Prepared> {
    stored_module(&format!("{MODULE}.ko"), subject, how)
}

fn stored_module(
    name: &str,
    subject: impl FnOnce(&Path) -> Result<Subject>,
    how: &str,
) -> Result<Prepared> {
    let folder = fresh("modules");
    fs::create_dir(&folder)?;
    let path = folder.join(name);
    fs::copy(Path::new("/modules").join(name), &path).context("the module is not here")?;
    let subject = subject(&path)?;
    ready(subject, Deed::role(&[how, &path.to_string_lossy()]))
}

fn traced(subject: Subject, program: Option<PathBuf>) -> Result<Prepared> {
    let sleeper = Sleeper::start()?;
    let words = vec!["ptrace".to_owned(), sleeper.0.id().to_string()];
    let deed = Deed::Role(program.unwrap_or_else(|| "/guest".into()), words);
    Ok(Prepared { subject, deed, held: Some(sleeper) })
}

/// The port that the suite listens on.
pub(crate) const PORT: u16 = 4_433;

/// Where the kernel decompresses modules itself.
pub(crate) const COMPRESSED: &[Case] = &[
    Case {
        name: "compressed module by content: the file as it is stored",
        operation: Operations::MODULE_LOAD,
        prepare: |_| {
            let content = |path: &Path| Ok(Subject::Sha256(sha256(&fs::read(path)?)));
            stored_module("dummy.ko.xz", content, "module-compressed")
        },
    },
    Case {
        name: "compressed module by name",
        operation: Operations::MODULE_LOAD,
        prepare: |_| {
            let named = |_: &Path| Ok(Subject::Module(MODULE.to_owned()));
            stored_module("dummy.ko.xz", named, "module-compressed")
        },
    },
];

/// All of them.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "exec by content: first execution of a copy never seen before",
        operation: Operations::EXEC,
        prepare: |_| {
            let (path, hash) = copy()?;
            ready(Subject::Sha256(hash), Deed::Exec(path))
        },
    },
    Case {
        name: "exec by content: renamed, and by a hard link",
        operation: Operations::EXEC,
        prepare: |_| {
            let (path, hash) = copy()?;
            let (renamed, linked) = (fresh("renamed"), fresh("linked"));
            fs::rename(&path, &renamed)?;
            fs::hard_link(&renamed, &linked)?;
            ready(Subject::Sha256(hash), Deed::Exec(linked))
        },
    },
    Case {
        name: "exec by content: a file in memory (memfd, fexecve)",
        operation: Operations::EXEC,
        prepare: |_| {
            let (path, hash) = copy()?;
            ready(Subject::Sha256(hash), Deed::role(&["memfd", &path.to_string_lossy()]))
        },
    },
    Case {
        name: "exec by content: a copy in an overlay",
        operation: Operations::EXEC,
        prepare: |_| {
            let (path, hash) = copy()?;
            let name = path.file_name().context("a name")?;
            fs::copy(&path, Path::new("/tmp/overlay/lower").join(name))?;
            ready(Subject::Sha256(hash), Deed::Exec(Path::new("/tmp/overlay/merged").join(name)))
        },
    },
    Case {
        name: "exec by content: a script",
        operation: Operations::EXEC,
        prepare: |_| {
            let (interpreter, _) = copy()?;
            let (path, text) =
                (fresh("script"), format!("#!{}\n{}", interpreter.display(), salt()));
            put(&path, text.as_bytes())?;
            ready(Subject::Sha256(sha256(text.as_bytes())), Deed::Exec(path))
        },
    },
    Case {
        name: "exec by content: the interpreter of a script",
        operation: Operations::EXEC,
        prepare: |_| {
            let (interpreter, hash) = copy()?;
            let path = fresh("script");
            put(&path, format!("#!{}\n", interpreter.display()).as_bytes())?;
            ready(Subject::Sha256(hash), Deed::Exec(path))
        },
    },
    Case {
        name: "exec by content: the content came by a write after an allowed execution",
        operation: Operations::EXEC,
        prepare: |world| {
            let (path, old) = copy()?;
            // Known to the kernel as something harmless.
            world.list(&Subject::Sha256([1; 32]), Operations::EXEC, Mode::Observe)?;
            ensure!(act(&world.inside, &Deed::Exec(path.clone()))? == Went::Done);
            let bytes = program();
            put(&path, &bytes)?;
            ensure!(old != sha256(&bytes), "another content");
            ready(Subject::Sha256(sha256(&bytes)), Deed::Exec(path))
        },
    },
    Case {
        name: "exec by inode",
        operation: Operations::EXEC,
        prepare: |_| {
            let (path, _) = copy()?;
            ready(inode(&path)?, Deed::Exec(path))
        },
    },
    Case {
        name: "exec by path",
        operation: Operations::EXEC,
        prepare: |_| {
            let (path, _) = copy()?;
            ready(Subject::Path(path.clone()), Deed::Exec(path))
        },
    },
    Case {
        name: "exec of any file in memory (memfd)",
        operation: Operations::EXEC,
        prepare: |_| {
            let (path, _) = copy()?;
            ready(Subject::Memory, Deed::role(&["memfd", &path.to_string_lossy()]))
        },
    },
    Case {
        name: "exec of a file too large to be hashed (unknown copy)",
        operation: Operations::EXEC,
        prepare: |_| {
            let (path, _) = copy()?;
            fs::OpenOptions::new().write(true).open(&path)?.set_len((64 << 20) + 1)?;
            ready(Subject::UnknownCopy, Deed::Exec(path))
        },
    },
    Case {
        name: "exec of anything",
        operation: Operations::EXEC,
        prepare: |_| ready(Subject::Everything, Deed::Exec(copy()?.0)),
    },
    Case {
        name: "open by inode",
        operation: Operations::OPEN,
        prepare: |_| {
            let (path, _) = copy()?;
            ready(inode(&path)?, Deed::role(&["open", &path.to_string_lossy()]))
        },
    },
    Case {
        name: "open by path",
        operation: Operations::OPEN,
        prepare: |_| {
            let (path, _) = copy()?;
            let deed = Deed::role(&["open", &path.to_string_lossy()]);
            ready(Subject::Path(path), deed)
        },
    },
    Case {
        name: "open by content: of a file executed before",
        operation: Operations::OPEN,
        prepare: |world| {
            let (path, hash) = copy()?;
            world.list(&Subject::Sha256([1; 32]), Operations::EXEC, Mode::Observe)?;
            ensure!(act(&world.inside, &Deed::Exec(path.clone()))? == Went::Done);
            ready(Subject::Sha256(hash), Deed::role(&["open", &path.to_string_lossy()]))
        },
    },
    Case {
        name: "executable mapping by content: a copy never seen before",
        operation: Operations::MAP,
        prepare: |_| {
            let (path, hash) = copy()?;
            ready(Subject::Sha256(hash), Deed::role(&["map", &path.to_string_lossy()]))
        },
    },
    Case {
        name: "memory made executable later, by content: a copy never seen before",
        operation: Operations::MAP,
        prepare: |_| {
            let (path, hash) = copy()?;
            ready(Subject::Sha256(hash), Deed::role(&["protect", &path.to_string_lossy()]))
        },
    },
    Case {
        name: "memory made executable later, by inode",
        operation: Operations::MAP,
        prepare: |_| {
            let (path, _) = copy()?;
            ready(inode(&path)?, Deed::role(&["protect", &path.to_string_lossy()]))
        },
    },
    Case {
        name: "memory made executable later, by path",
        operation: Operations::MAP,
        prepare: |_| {
            let (path, _) = copy()?;
            let deed = Deed::role(&["protect", &path.to_string_lossy()]);
            ready(Subject::Path(path), deed)
        },
    },
    Case {
        name: "memory of no file made executable",
        operation: Operations::MAP,
        prepare: |_| ready(Subject::Anonymous, Deed::role(&["protect-anonymous"])),
    },
    Case {
        name: "connect by address and port",
        operation: Operations::CONNECT,
        prepare: |_| to("127.0.0.1", 32, Some(PORT), &["connect", "127.0.0.1:4433"]),
    },
    Case {
        name: "connect by network",
        operation: Operations::CONNECT,
        prepare: |_| to("127.0.0.0", 8, None, &["connect", "127.0.0.1:4433"]),
    },
    Case {
        name: "connect by IPv6 address",
        operation: Operations::CONNECT,
        prepare: |_| to("::1", 128, None, &["connect", "[::1]:4433"]),
    },
    Case {
        name: "datagram without a connect, by address",
        operation: Operations::CONNECT,
        prepare: |_| to("127.0.0.1", 32, None, &["send", "127.0.0.1:4433"]),
    },
    Case {
        name: "connect by the content of the program that does",
        operation: Operations::CONNECT,
        prepare: |_| by_actor(&["connect", "127.0.0.1:4433"]),
    },
    Case {
        name: "module by content: a copy never seen before",
        operation: Operations::MODULE_LOAD,
        prepare: |_| module(|path| Ok(Subject::Sha256(sha256(&fs::read(path)?))), "module"),
    },
    Case {
        name: "module by name",
        operation: Operations::MODULE_LOAD,
        prepare: |_| module(|_| Ok(Subject::Module(MODULE.to_owned())), "module"),
    },
    Case {
        name: "module by path",
        operation: Operations::MODULE_LOAD,
        prepare: |_| module(|path| Ok(Subject::Path(path.to_owned())), "module"),
    },
    Case {
        name: "any module",
        operation: Operations::MODULE_LOAD,
        prepare: |_| module(|_| Ok(Subject::Everything), "module"),
    },
    Case {
        name: "module from memory (init_module), whose content nobody can know",
        operation: Operations::MODULE_LOAD,
        prepare: |_| module(|_| Ok(Subject::UnknownCopy), "module-from-memory"),
    },
    Case {
        name: "ptrace by the content of the tracer",
        operation: Operations::PTRACE,
        prepare: |_| {
            let (path, hash) = actor()?;
            traced(Subject::Sha256(hash), Some(path))
        },
    },
    Case {
        name: "any ptrace",
        operation: Operations::PTRACE,
        prepare: |_| traced(Subject::Everything, None),
    },
    Case {
        name: "BPF load by the content of the loader",
        operation: Operations::BPF_LOAD,
        prepare: |_| by_actor(&["bpf"]),
    },
    Case {
        name: "any BPF load",
        operation: Operations::BPF_LOAD,
        prepare: |_| ready(Subject::Everything, Deed::role(&["bpf"])),
    },
];
