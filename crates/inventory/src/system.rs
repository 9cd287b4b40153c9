//! The operating system, by os-release(5) and the kernel's own word.

use std::fs;
use std::path::Path;

use metsuke_event::inventory::{Item, System};

use crate::support;
use crate::users::read;

/// A value of os-release(5), without its quotes.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(line.trim_matches(['"', '\'']))
}

/// The system below `root`; the kernel is always the running one.
pub(crate) fn take(root: &Path) -> Result<Item, String> {
    let text =
        read(&root.join("etc/os-release")).or_else(|_| read(&root.join("usr/lib/os-release")))?;
    let of = |name| value(&text, name).unwrap_or_default().to_owned();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim().to_owned();
    let (id, version) = (of("ID"), of("VERSION_ID"));
    let support = support::system(&id, &version);
    Ok(Item::System(System {
        name: of("PRETTY_NAME"),
        kernel_support: support::kernel(&kernel, &support),
        id,
        version,
        support,
        kernel,
        arch: std::env::consts::ARCH.to_owned(),
    }))
}
