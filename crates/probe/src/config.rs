//! What a probe is told: where to look, how far it may go, and its bounds.

use std::path::PathBuf;

use metsuke_event::coverage::Tier;
use metsuke_scan::Limits;

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

/// How a probe is set up. `ProbeConfig::new` gives defaults fit for production.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// Where to look.
    pub scope: Scope,
    /// The best tier that may be tried; `None` for the best there is.
    pub max_tier: Option<Tier>,
    /// Files whose reading is reported; at most 256 are used.
    pub sensitive: Vec<Sensitive>,
    /// Bounds of hashing.
    pub hash: Limits,
    /// UDP ports on which DNS is read; at most four are used.
    pub dns_ports: Vec<u16>,
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
            hash: Limits::default(),
            dns_ports: vec![53],
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
