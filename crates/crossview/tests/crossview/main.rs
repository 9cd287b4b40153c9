//! Things hidden in the usual ways, and looked for. Everything hidden is the test's own: processes
//! in a control group of its own, mounts in private namespaces, sockets on unconnected networks.

#![expect(clippy::panic, reason = "the way to fail in helpers of tests")]
#![expect(unsafe_code, reason = "what hides is done by direct system calls")]

mod files;
mod objects;
mod processes;
mod sockets;
mod support;
