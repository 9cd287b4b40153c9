//! Waiting for a condition, with a deadline that says what was waited for.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Pause between two looks: short against what is waited for, long against the look itself.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks until `look` gives something, at most for `limit`.
///
/// # Errors
/// When `limit` has passed, naming `what`; and the first error of `look`.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

/// Like [`until`], for a condition that is true or not.
///
/// # Errors
/// As [`until`].
pub fn until_true(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<bool>,
) -> Result<()> {
    until(what, limit, || Ok(look()?.then_some(())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn it_finds_what_comes_and_names_what_does_not() {
        let mut looks = 0;
        let found = super::until("three looks", Duration::from_secs(5), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.expect("found"), 3);
        let error = super::until_true("the moon", Duration::ZERO, || Ok(false));
        assert!(error.expect_err("in vain").to_string().contains("the moon"));
    }
}
