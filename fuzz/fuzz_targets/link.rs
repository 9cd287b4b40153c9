//! Any bytes as what the other side of the link says: reading never panics, and what can be read
//! as activities survives being written and read again. The first byte chooses the reader.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metsuke_link::fuzzing;

fuzz_target!(|data: &[u8]| {
    let Some((reader, bytes)) = data.split_first() else { return };
    match reader % 3 {
        0 => fuzzing::upstream(bytes),
        1 => fuzzing::downstream(bytes),
        _ => fuzzing::activities(bytes),
    }
});
