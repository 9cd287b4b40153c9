//! What build scripts of crates with BPF programs share: clang compiles `bpf/NAME.bpf.c` into
//! `OUT_DIR/NAME.bpf.o`. Without clang (or for another architecture) empty files take their place, and
//! the reason is kept in `METSUKE_BPF_MISSING`: the crate then says why something is not there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `objects`; `without` says, in cargo's warning, what is lacking when one cannot be.
pub(crate) fn build(objects: &[&str], without: &str) {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let sources = root.join("../../bpf");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    // The whole folder: programs include headers of one another.
    println!("cargo::rerun-if-changed={}", sources.display());
    println!("cargo::rerun-if-env-changed=CLANG");
    let mut missing = String::new();
    for name in objects {
        let object = out.join(format!("{name}.bpf.o"));
        if let Err(reason) = compile(&sources, name, &object) {
            let _ = fs::write(&object, b"");
            // cargo shows one line of each warning.
            for line in reason.lines() {
                println!("cargo::warning={without}: {line}");
            }
            missing = reason;
        }
    }
    println!("cargo::rustc-env=METSUKE_BPF_MISSING={}", missing.replace('\n', " "));
}

fn compile(sources: &Path, name: &str, object: &Path) -> Result<(), String> {
    let target = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if target != "x86_64" {
        return Err(format!("the BPF objects are written for x86_64, not {target}"));
    }
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let headers = env::var("DEP_BPF_INCLUDE").map_err(|_| "libbpf's headers were not found")?;
    let output = Command::new(&clang)
        .args(["-g", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"])
        .args(["-target", "bpf", "-mcpu=v3", "-D__TARGET_ARCH_x86", "-nostdinc"])
        // Neither this machine's paths nor its names in the object.
        .arg(format!("-fdebug-prefix-map={}=bpf", sources.display()))
        .arg(format!("-fdebug-prefix-map={headers}=libbpf"))
        .arg("-fdebug-compilation-dir=/metsuke")
        .arg("-I")
        .arg(sources)
        .arg("-isystem")
        .arg(&headers)
        .arg("-c")
        .arg(sources.join(format!("{name}.bpf.c")))
        .arg("-o")
        .arg(object)
        .output()
        .map_err(|error| {
            format!("{clang} cannot be run ({error}); install clang and build again")
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{clang} refused bpf/{name}.bpf.c: {}", String::from_utf8_lossy(&output.stderr)))
}
