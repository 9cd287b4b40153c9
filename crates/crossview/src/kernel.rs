//! The kernel's iterators (`bpf/crossview.bpf.c`): loaded once for a look, read in each pass.
//!
//! Invariant: a program that the kernel refuses does not keep the others from being loaded.

pub(crate) mod record;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::Once;

use libbpf_rs::{Object, ObjectBuilder, PrintLevel, set_print};

static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/crossview.bpf.o"));

/// Why the object is not in this build; empty when it is.
const MISSING: &str = env!("METSUKE_BPF_MISSING");

/// The programs.
const PROGRAMS: [&str; 9] = [
    "on_task",
    "on_open_socket",
    "on_tcp",
    "on_udp",
    "on_unix",
    "on_bpf_prog",
    "on_bpf_map",
    "on_bpf_link",
    "on_ksym",
];

/// Bytes that one iterator gives at most: 262,144 records of 168 bytes are less.
const MAX_BYTES: u64 = 64 << 20;

/// Bytes read at a time; the kernel fills at most eight pages.
const CHUNK: usize = 32 * 1_024;

/// The loaded iterators by their links' descriptors, each of which keeps its program. Dropping
/// them takes everything away.
#[derive(Debug)]
pub(crate) struct Iterators {
    links: BTreeMap<&'static str, Result<OwnedFd, String>>,
}

impl Iterators {
    /// Loads all together, or each alone when that is refused.
    pub(crate) fn load() -> Self {
        static QUIET: Once = Once::new();
        QUIET.call_once(quiet);
        let links = if OBJECT.is_empty() {
            let reason = format!("this build has no BPF objects: {MISSING}");
            PROGRAMS.map(|name| (name, Err(reason.clone())))
        } else if let Ok(object) = load(&PROGRAMS) {
            PROGRAMS.map(|name| (name, attach(&object, name)))
        } else {
            PROGRAMS.map(|name| (name, load(&[name]).and_then(|object| attach(&object, name))))
        };
        Self { links: links.into_iter().collect() }
    }

    /// Everything that the iterator `name` gives in the namespaces of the calling thread, `SIZE`
    /// bytes each.
    pub(crate) fn read<const SIZE: usize>(&self, name: &str) -> Result<Vec<[u8; SIZE]>, String> {
        let link = self.links.get(name).ok_or_else(|| format!("there is no iterator {name}"))?;
        let link = link.as_ref().map_err(Clone::clone)?;
        let mut iterator = open(link).map_err(|error| format!("{name}: {error}"))?;
        let mut bytes = Vec::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            match iterator.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => bytes.extend_from_slice(&chunk[..length.min(CHUNK)]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                // A page's worth of nothing; the next read goes on.
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
                Err(error) => return Err(format!("the iterator broke off: {error}")),
            }
            if bytes.len() as u64 > MAX_BYTES {
                return Err(format!("it gave more than {MAX_BYTES} bytes"));
            }
        }
        Ok(bytes.as_chunks::<SIZE>().0.to_vec())
    }
}

/// The verifier's log and libbpf's remarks go to tracing, not to standard error.
fn quiet() {
    #[expect(clippy::needless_pass_by_value, reason = "the signature libbpf-rs asks for")]
    fn log(_: PrintLevel, text: String) {
        tracing::debug!(target: "metsuke_crossview::libbpf", "{}", text.trim_end());
    }
    set_print(Some((PrintLevel::Debug, log)));
}

fn load(wanted: &[&str]) -> Result<Object, String> {
    let explain = |error: libbpf_rs::Error| {
        format!("{error:#}; run as root, or with CAP_BPF, CAP_PERFMON and CAP_DAC_READ_SEARCH")
    };
    let mut object = ObjectBuilder::default().open_memory(OBJECT).map_err(explain)?;
    for mut program in object.progs_mut() {
        let is_wanted = wanted.iter().any(|name| program.name() == *name);
        program.set_autoload(is_wanted);
    }
    object.load().map_err(explain)
}

fn attach(object: &Object, name: &str) -> Result<OwnedFd, String> {
    let program = object.progs_mut().find(|program| program.name() == name);
    let program = program.ok_or_else(|| format!("the object has no program {name}"))?;
    let link = program.attach();
    let link = link.map_err(|error| format!("{error:#}; this kernel has no such iterator"))?;
    link.as_fd().try_clone_to_owned().map_err(|error| error.to_string())
}

/// An iterator bound to the namespaces of the calling thread (`BPF_ITER_CREATE`).
fn open(link: &OwnedFd) -> std::io::Result<File> {
    // SAFETY: a plain call; a descriptor it gives is ours alone.
    unsafe {
        let fd = libbpf_sys::bpf_iter_create(link.as_raw_fd());
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(File::from_raw_fd(fd))
    }
}
