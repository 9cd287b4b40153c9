//! Compiles the crate again when a file of the content comes or goes; the macro that embeds the
//! folder notices changed files only.

fn main() {
    println!("cargo::rerun-if-changed=../../content");
}
