//! The smallest program: ends with 0. A salt behind it makes its content nobody else's.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// Size of the file and program headers of ELF64.
const HEADERS: u64 = 64 + 56;
/// Where it is mapped.
const BASE: u64 = 0x40_0000;
/// x86-64: `mov edi, 0; mov eax, 60 (exit); syscall`.
const CODE: [u8; 12] = [0xbf, 0, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];

/// An ELF64 executable (System V ABI, AMD64 supplement) with content like no other.
pub(crate) fn program() -> Vec<u8> {
    let salt = salt();
    let size = HEADERS + CODE.len() as u64 + salt.len() as u64;
    let mut bytes = Vec::new();
    bytes.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [2_u16, 62] {
        bytes.extend(half.to_le_bytes()); // ET_EXEC, EM_X86_64
    }
    bytes.extend(1_u32.to_le_bytes());
    for word in [BASE + HEADERS, 64, 0] {
        bytes.extend(word.to_le_bytes()); // entry, program headers, section headers
    }
    bytes.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        bytes.extend(half.to_le_bytes());
    }
    bytes.extend(1_u32.to_le_bytes()); // PT_LOAD
    bytes.extend(5_u32.to_le_bytes()); // readable, executable
    for word in [0, BASE, BASE, size, size, 0x1000] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(CODE);
    bytes.extend(salt.as_bytes());
    bytes
}

/// A text that was not there before.
pub(crate) fn salt() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("\n# copy {}\n", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Writes an executable.
pub(crate) fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
