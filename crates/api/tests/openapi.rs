//! The committed OpenAPI document is the one the handlers make. `UPDATE=1` writes it.

use std::path::Path;

#[test]
fn committed_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi/openapi.json");
    let mut made = serde_json::to_string_pretty(&metsuke_api::openapi::document()).unwrap();
    made.push('\n');
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "openapi/openapi.json is stale: run `./x codegen`");
}
