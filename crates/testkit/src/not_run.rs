//! What a machine cannot run is said, not passed over: one line `NOT RUN: <test>: <reason>` on
//! standard error, which `./x test` counts.

/// Writes the line. Call it and return.
#[expect(clippy::print_stderr, reason = "the line is the interface to whoever counts")]
pub fn not_run(test: &str, reason: &str) {
    eprintln!("NOT RUN: {test}: {reason}");
}

/// What a test needs of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// User id 0.
    Root,
    /// A writable control group hierarchy, version 2.
    Cgroup,
    /// `unshare` and `mount`, for a private mount namespace.
    PrivateMounts,
}

/// The first need that this machine does not meet, with the reason, or `None`.
pub fn lacking(needs: &[Need]) -> Option<String> {
    needs.iter().find_map(|need| match need {
        Need::Root => (!crate::process::is_root()).then(|| "needs root".to_owned()),
        Need::Cgroup => crate::cgroup::mounted()
            .and_then(|root| crate::cgroup::Cgroup::create_in(&root, "trial").map(drop))
            .err()
            .map(|error| format!("needs a writable cgroup v2 hierarchy: {error:#}")),
        Need::PrivateMounts => crate::small_disk::trial()
            .err()
            .map(|error| format!("needs a private mount namespace: {error:#}")),
    })
}

/// Returns from the test with a NOT RUN line when a need is not met.
#[macro_export]
macro_rules! needs {
    ($test:expr, $($need:ident),+ $(,)?) => {
        if let Some(reason) = $crate::not_run::lacking(&[$($crate::not_run::Need::$need),+]) {
            $crate::not_run::not_run($test, &reason);
            return Ok(());
        }
    };
}
