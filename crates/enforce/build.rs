//! Compiles the BPF objects; without them the guard then says why nothing is denied.

#[path = "../../bpf/build.rs"]
mod bpf;

fn main() {
    bpf::build(&["deny_lsm", "deny_kill"], "no deny list");
}
