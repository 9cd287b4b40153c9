//! One build: the heavy store crates stand once in the lock file.
//!
//! This file has a second use. `build::product` selects it beside the binaries, because cargo adds
//! the features that development dependencies ask for as soon as one test is part of a build.
//! Without it the binaries and the tests would want different features of tokio, and everything
//! above it, the query engine included, would be compiled twice.

use std::path::Path;

/// Crates that move together or not at all, and that a second version of would double the build.
const HEAVY: [&str; 10] = [
    "arrow",
    "parquet",
    "object_store",
    "datafusion",
    "deltalake-core",
    "sea-orm",
    "tokio",
    "tonic",
    "rustls",
    "axum",
];

#[test]
fn heavy_crates_have_one_version() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let lock = std::fs::read_to_string(path).expect("the lock file is committed");
    for name in HEAVY {
        let line = format!("name = \"{name}\"");
        let versions = lock.lines().filter(|text| *text == line).count();
        assert!(versions <= 1, "{name} stands {versions} times in Cargo.lock");
    }
}
