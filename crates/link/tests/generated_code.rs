//! The committed protobuf code is what the schema gives. `UPDATE=1` rewrites it.

use std::path::Path;

#[test]
fn generated_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().expect("a folder");
    let schema = protox::compile(["metsuke/v1/link.proto"], [root.join("../../proto")])
        .expect("the schema is well-formed");
    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(dir.path())
        .compile_fds(schema)
        .expect("code is generated");
    let fresh = std::fs::read_to_string(dir.path().join("metsuke.v1.rs")).expect("written");
    let committed = root.join("src/proto/metsuke.v1.rs");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&committed, &fresh).expect("updated");
    }
    let known = std::fs::read_to_string(&committed).expect("committed");
    assert!(known == fresh, "src/proto is stale: run this test with UPDATE=1");
}
