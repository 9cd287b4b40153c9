//! Compiles the BPF objects; without them the sensor then says why tier 2 is not there.

#[path = "../../bpf/build.rs"]
mod bpf;

fn main() {
    bpf::build(&["tracing", "module", "lsm", "libraries"], "no tier 2");
}
