//! Which tests are never started, and why: decided by their text before anything runs.
//!
//! Leaves to the room what a test may reach; this is the second lock. What is started and then
//! lacks something gets its reason from the run.

use crate::document::Atomic;

/// Words that mean what lies outside any room, with what they mean. A test that holds one in its
/// command is not started.
const REACHES_OUT: &[(&str, &str)] = &[
    ("sysrq", "asks the kernel to act on the whole machine (sysrq)"),
    ("drop_caches", "empties the whole machine's page cache"),
    ("swapoff", "changes the whole machine's swap"),
    ("auditctl", "changes the whole machine's audit rules"),
    ("insmod", "loads a kernel module into the machine's kernel"),
    ("modprobe", "loads a kernel module into the machine's kernel"),
    ("sysctl -w", "changes a setting of the machine's kernel"),
    ("date 01", "sets the machine's clock"),
    ("rm -rf / ", "removes everything it can reach"),
    ("setenforce", "changes the kernel's access control"),
];

/// Why `atomic` is not started; `None` when it may be.
pub(crate) fn refusal(atomic: &Atomic) -> Option<String> {
    match atomic.executor.as_str() {
        "sh" | "bash" => {}
        "manual" => return Some("its steps are for a person".to_owned()),
        other => return Some(format!("its executor is {other}, which Linux hosts do not have")),
    }
    REACHES_OUT
        .iter()
        .find(|(word, _)| atomic.command.contains(word))
        .map(|(_, meaning)| (*meaning).to_owned())
}

#[cfg(test)]
mod tests {
    use super::refusal;
    use crate::document::Atomic;

    #[test]
    fn what_means_the_machine_is_not_started() {
        let of = |executor: &str, command: &str| {
            refusal(&Atomic {
                executor: executor.to_owned(),
                command: command.to_owned(),
                ..Atomic::default()
            })
        };
        assert_eq!(of("sh", "id"), None);
        assert!(of("sh", "echo b > /proc/sysrq-trigger").is_some());
        assert!(of("bash", "auditctl -D").is_some());
        assert!(of("manual", "").is_some());
        assert!(of("powershell", "Get-Process").is_some());
    }
}
