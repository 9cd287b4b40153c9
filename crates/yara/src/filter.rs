//! Which system calls are left to this process: those of computing, and reading and writing what is
//! open. YARA-X reads what an attacker wrote; whoever takes it over finds nothing to call.
//!
//! Two filters of seccomp(2), of which the kernel follows the stricter: one ends the process for what
//! no scan has a reason for (other programs, sockets, other processes, the kernel), one answers
//! "no such call" to everything that is not on the list, so that a library that looks around goes on
//! without. Invariant: neither can be taken off again.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// What a scan calls.
const ALLOWED: [i64; 32] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_poll,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    // Also to executable: rules become machine code.
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What no scan has a reason for.
const DEADLY: [i64; 30] = [
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_userfaultfd,
    libc::SYS_memfd_create,
    libc::SYS_mount,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_setuid,
    libc::SYS_setresuid,
    libc::SYS_open_by_handle_at,
];

/// Why the calls are not limited.
pub(crate) type Error = Box<dyn std::error::Error>;

/// Limits the calls of this thread, and of those it starts.
pub(crate) fn apply() -> Result<(), Error> {
    for program in [deadly()?, allowed()?] {
        seccompiler::apply_filter(&program)?;
    }
    Ok(())
}

fn deadly() -> Result<BpfProgram, Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        DEADLY.iter().map(|call| (*call, Vec::new())).collect();
    // A new process; a thread is one of ours.
    let thread = flag(libc::CLONE_THREAD, 0)?;
    rules.insert(libc::SYS_clone, vec![thread]);
    program(rules, SeccompAction::Allow, SeccompAction::KillProcess)
}

fn allowed() -> Result<BpfProgram, Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let flags = u64::try_from(libc::CLONE_THREAD)?;
    // Not clone3: its flags lie in memory, where no filter sees them; the C library then uses this.
    rules.insert(libc::SYS_clone, vec![flag(libc::CLONE_THREAD, flags)?]);
    // The name of a thread, and nothing else that prctl does.
    let name = u64::try_from(libc::PR_SET_NAME)?;
    rules.insert(libc::SYS_prctl, vec![equal(name)?]);
    // abort(3), to end itself.
    rules.insert(libc::SYS_getpid, Vec::new());
    rules.insert(libc::SYS_tgkill, vec![equal(u64::from(std::process::id()))?]);
    let missing = SeccompAction::Errno(u32::try_from(libc::ENOSYS)?);
    program(rules, missing, SeccompAction::Allow)
}

fn equal(value: u64) -> Result<SeccompRule, Error> {
    let first = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?;
    Ok(SeccompRule::new(vec![first])?)
}

/// The first argument has of `mask` exactly `value`.
fn flag(mask: i32, value: u64) -> Result<SeccompRule, Error> {
    let masked = SeccompCmpOp::MaskedEq(u64::try_from(mask)?);
    let first = SeccompCondition::new(0, SeccompCmpArgLen::Qword, masked, value)?;
    Ok(SeccompRule::new(vec![first])?)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, Error> {
    let filter = SeccompFilter::new(rules, otherwise, matched, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::UdpSocket;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    /// Set for the child that tries something below the filters.
    const TRY: &str = "METSUKE_YARA_TRY";
    /// What a child ends with that got what it wanted.
    const GOT_IT: i32 = 7;
    /// A child that was refused and went on.
    const WENT_ON: i32 = 0;

    /// This very program again, with one test, which tries `what`.
    fn child(what: &str) -> ExitStatus {
        let own = std::env::current_exe().expect("this program");
        let args = ["--exact", "filter::tests::a_child_tries", "--test-threads=1", "--nocapture"];
        Command::new(own).args(args).env(TRY, what).output().expect("starts").status
    }

    #[test]
    fn a_scan_that_tries_to_leave_is_ended() {
        for what in ["exec", "socket", "ptrace"] {
            let status = child(what);
            assert_eq!(status.signal(), Some(libc::SIGSYS), "{what}: {status}");
        }
    }

    #[test]
    fn a_scan_opens_nothing_and_still_computes() {
        for what in ["open", "thread", "rules"] {
            let status = child(what);
            assert_eq!(status.code(), Some(WENT_ON), "{what}: {status}");
        }
    }

    /// Not a test of its own: what the children above do. Without the variable it has nothing to do.
    #[test]
    #[expect(clippy::exit, reason = "it is a child, and its status is the answer")]
    fn a_child_tries() {
        let Ok(what) = std::env::var(TRY) else { return };
        super::apply().expect("the filters hold");
        let is_well = match what.as_str() {
            "exec" => Command::new("/bin/true").status().is_err(),
            "socket" => UdpSocket::bind("127.0.0.1:0").is_err(),
            "ptrace" => nix::sys::ptrace::traceme().is_err(),
            "open" => {
                let opened = std::fs::File::open("/etc/hostname");
                opened.is_err_and(|error| error.kind() == ErrorKind::Unsupported)
            }
            "thread" => {
                let thread = std::thread::Builder::new().name("one".to_owned()).spawn(|| 2 + 2);
                thread.is_ok_and(|thread| thread.join().is_ok_and(|four| four == 4))
            }
            _ => {
                let source = "rule r { strings: $a = /need.e/ condition: $a and #a < 9 }";
                let (rules, _) = crate::rules::compile(&[source.to_owned()]);
                let mut scanner = yara_x::Scanner::new(&rules);
                scanner.set_timeout(std::time::Duration::from_secs(60));
                scanner.scan(b"a needle").is_ok_and(|found| found.matching_rules().len() == 1)
            }
        };
        std::process::exit(if is_well { WENT_ON } else { GOT_IT });
    }
}
