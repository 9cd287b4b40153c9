//! Compiles the BPF objects; without them the report then says why the iterators are not there.

#[path = "../../bpf/build.rs"]
mod bpf;

fn main() {
    bpf::build(&["crossview"], "no kernel iterators");
}
