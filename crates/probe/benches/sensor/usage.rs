//! CPU time, and what stands in the middle.

/// CPU nanoseconds, user and kernel, of this process or of its children that have ended.
pub(crate) fn cpu(who: libc::c_int) -> f64 {
    // SAFETY: rusage is plain data for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid rusage that outlives the call.
    assert_eq!(unsafe { libc::getrusage(who, &raw mut usage) }, 0);
    let nanos = |time: libc::timeval| time.tv_sec as f64 * 1e9 + time.tv_usec as f64 * 1e3;
    nanos(usage.ru_utime) + nanos(usage.ru_stime)
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
