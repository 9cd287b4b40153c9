//! What a probe is told: where to look, how far it may go, and its bounds.

use std::collections::BTreeSet;
use std::path::PathBuf;

use metsuke_event::coverage::Tier;
use metsuke_scan::Limits;

use crate::throttle::Throttle;

/// Batches that may wait in the sink before events are shed: at 512 events each about a second
/// of a very busy host.
pub const SINK_BATCHES: usize = 256;

/// Where the probe looks. Nothing outside is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Processes in this control group (v2) or below it: an absolute path of its directory.
    Cgroup(PathBuf),
    /// Every process of the host.
    Host,
}

/// One file, or family of files, whose opening for reading is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sensitive {
    /// Path pattern: `*` stands for any run of characters but `/`, a leading `**/` for any folder.
    /// The last part, or the one before it, must hold no `*`: the kernel filters by that name.
    pub pattern: String,
    /// What it is: `credential`, `key`, `token` or `account database`.
    pub sensitivity: String,
}

/// A part of the probe that reads what files and libraries say about the system; see `README.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Watcher {
    /// Accounts and groups, from passwd, shadow, group and gshadow.
    Accounts,
    /// What starts by itself: cron, at, units, profiles, PAM, …, with what changed.
    Persistence,
    /// Services started and stopped, by control groups and init scripts.
    Services,
    /// Logons, logoffs and failed ones: libpam, audit messages, wtmp and btmp.
    Logons,
    /// Scripts that are run: their text (at most 16 KiB each) and hash.
    Scripts,
    /// Lines typed at a prompt of bash or libreadline. They may hold secrets.
    Prompts,
}

impl Watcher {
    /// Every one, as they are by default.
    pub const ALL: [Self; 6] = [
        Self::Accounts,
        Self::Persistence,
        Self::Services,
        Self::Logons,
        Self::Scripts,
        Self::Prompts,
    ];
}

/// How a probe is set up. `ProbeConfig::new` gives defaults fit for production.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// Where to look.
    pub scope: Scope,
    /// The best tier that may be tried; `None` for the best there is.
    pub max_tier: Option<Tier>,
    /// Files whose reading is reported; at most 256 are used.
    pub sensitive: Vec<Sensitive>,
    /// Settings of the kernel whose writing is reported, by name with dots; `*` stands for one part.
    pub settings: Vec<String>,
    /// Bounds of hashing.
    pub hash: Limits,
    /// UDP ports on which DNS is read; at most four are used.
    pub dns_ports: Vec<u16>,
    /// What is read of the system around the processes.
    pub watchers: BTreeSet<Watcher>,
    /// Folders that web servers serve: scripts below them start by a visitor's request.
    pub web_roots: Vec<PathBuf>,
    /// Slows the probe while it runs.
    pub throttle: Throttle,
}

/// Most patterns of sensitive files; the kernel's name table has this size.
pub(crate) const MAX_SENSITIVE: usize = 256;

impl ProbeConfig {
    /// The defaults for `scope`.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            max_tier: None,
            sensitive: default_sensitive(),
            settings: default_settings(),
            hash: Limits::default(),
            dns_ports: vec![53],
            watchers: Watcher::ALL.into(),
            web_roots: ["/var/www", "/srv/http", "/srv/www", "/usr/share/nginx/html"]
                .map(PathBuf::from)
                .into(),
            throttle: Throttle::default(),
        }
    }
}

/// The files whose reading is reported unless the configuration says otherwise.
pub fn default_sensitive() -> Vec<Sensitive> {
    const TABLE: &[(&str, &[&str])] = &[
        (
            "account database",
            &[
                "/etc/shadow",
                "/etc/shadow-",
                "/etc/gshadow",
                "/etc/gshadow-",
                "/etc/security/opasswd",
                "**/krb5.keytab",
            ],
        ),
        (
            "key",
            &[
                "**/.ssh/id_*",
                "/etc/ssh/ssh_host_*_key",
                "**/.gnupg/*",
                "**/private-keys-v1.d/*",
                "**/wallet.dat",
            ],
        ),
        (
            "credential",
            &[
                "**/.aws/credentials",
                "**/.netrc",
                "**/.pgpass",
                "**/.my.cnf",
                "**/.git-credentials",
                "**/.docker/config.json",
                "**/.config/gcloud/*",
                "**/.azure/*",
                "**/logins.json",
                "**/key4.db",
                "**/shadow.bak",
                "**/.htpasswd",
            ],
        ),
        (
            "token",
            &[
                "**/.kube/config",
                "**/.vault-token",
                "**/.npmrc",
                "**/.pypirc",
                "**/serviceaccount/token",
                "**/kubernetes/admin.conf",
            ],
        ),
    ];
    TABLE
        .iter()
        .flat_map(|(sensitivity, patterns)| {
            patterns.iter().map(|pattern| Sensitive {
                pattern: (*pattern).to_owned(),
                sensitivity: (*sensitivity).to_owned(),
            })
        })
        .collect()
}

/// The settings of the kernel whose writing is reported unless the configuration says otherwise:
/// those that weaken it, load code into it, or route through it.
pub fn default_settings() -> Vec<String> {
    const NAMES: &[&str] = &[
        "fs.binfmt_misc.*",
        "fs.protected_*",
        "fs.suid_dumpable",
        "kernel.core_pattern",
        "kernel.core_pipe_limit",
        "kernel.dmesg_restrict",
        "kernel.ftrace_enabled",
        "kernel.hotplug",
        "kernel.io_uring_disabled",
        "kernel.kexec_load_disabled",
        "kernel.kptr_restrict",
        "kernel.modprobe",
        "kernel.modules_disabled",
        "kernel.perf_event_paranoid",
        "kernel.poweroff_cmd",
        "kernel.printk",
        "kernel.randomize_va_space",
        "kernel.sysrq",
        "kernel.unprivileged_bpf_disabled",
        "kernel.unprivileged_userns_clone",
        "kernel.yama.ptrace_scope",
        "net.core.bpf_jit_*",
        "net.ipv4.conf.*.accept_redirects",
        "net.ipv4.conf.*.accept_source_route",
        "net.ipv4.conf.*.arp_*",
        "net.ipv4.conf.*.forwarding",
        "net.ipv4.conf.*.proxy_arp",
        "net.ipv4.conf.*.rp_filter",
        "net.ipv4.conf.*.send_redirects",
        "net.ipv4.icmp_echo_ignore_all",
        "net.ipv4.ip_forward",
        "net.ipv4.tcp_syncookies",
        "net.ipv6.conf.*.accept_ra",
        "net.ipv6.conf.*.accept_redirects",
        "net.ipv6.conf.*.disable_ipv6",
        "net.ipv6.conf.*.forwarding",
        "user.max_user_namespaces",
        "vm.mmap_min_addr",
        "vm.unprivileged_userfaultfd",
    ];
    NAMES.iter().map(|name| (*name).to_owned()).collect()
}
