//! What the allocator keeps of memory that is free: little.
//!
//! glibc gives each thread an arena of its own, up to eight for each processor, and keeps what was freed
//! in each for later. The sensor has some dozen threads that mostly wait, and bursts of which each would
//! leave its high-water mark behind.

/// Arenas, which threads share by turns.
#[cfg(target_env = "gnu")]
const ARENAS: libc::c_int = 2;

/// Larger pieces are mapped alone and go back to the kernel when freed; fixed, since by default glibc
/// raises it to the largest piece ever freed.
#[cfg(target_env = "gnu")]
const MAPPED_ALONE: libc::c_int = 256 << 10;

/// Free bytes kept at the end of the heap.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 512 << 10;

/// Makes the allocator frugal. To be called before threads begin.
pub fn make_frugal() {
    #[cfg(target_env = "gnu")]
    for (what, value) in [
        (libc::M_ARENA_MAX, ARENAS),
        (libc::M_MMAP_THRESHOLD, MAPPED_ALONE),
        (libc::M_TRIM_THRESHOLD, KEPT),
    ] {
        // SAFETY: mallopt(3) takes two numbers; refused, it changes nothing.
        unsafe { libc::mallopt(what, value) };
    }
}

/// Gives what is free back to the kernel: some milliseconds at most.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) touches free memory only, under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
