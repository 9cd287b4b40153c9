//! What is reported unless the configuration says otherwise: files whose reading matters, and Unix
//! sockets.
//!
//! Invariant: each file's pattern has a name that the kernel can look up (a test goes through all), and
//! none has one as common as `tmp` or `cache`: each open there would be told to user mode.

use crate::config::Sensitive;

type Table = &'static [(&'static str, &'static [&'static str])];

const FILES: Table = &[
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
            "/etc/ssl/private/*",
            "**/.ssh/identity",
            "**/pki/private/*",
            "**/kubernetes/pki/*",
            "/etc/wireguard/*",
            "/etc/letsencrypt/keys/*",
            "**/.electrum/wallets/*",
            "**/keyrings/*",
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
            "**/cookies.sqlite",
            "**/Login Data",
            "**/Cookies",
            "**/Web Data",
            "**/gcloud/credentials.db",
            "**/gcloud/access_tokens.db",
            "**/application_default_credentials.json",
            "**/.config/rclone/rclone.conf",
            "**/.boto",
            "**/.s3cfg",
            "**/.aws/config",
            "**/.oci/config",
            "**/.config/doctl/config.yaml",
            "**/.config/hub",
            "**/gh/hosts.yml",
            "**/.bash_history",
            "**/.zsh_history",
            "**/.mysql_history",
            "**/.psql_history",
            "**/wp-config.php",
            "**/.env",
            "/etc/mysql/debian.cnf",
            "/etc/NetworkManager/system-connections/*",
            "/etc/wpa_supplicant/wpa_supplicant.conf",
            "/etc/openvpn/*",
            "/etc/sudoers",
            "/etc/ldap.secret",
            "**/sssd/sssd.conf",
            "/var/lib/sss/secrets/*",
            "**/unattend.xml",
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
            "**/kubernetes/kubelet.conf",
            "**/kubernetes/super-admin.conf",
            "**/k3s/k3s.yaml",
            "**/k3s/server/token",
            "**/.config/gh/hosts.yml",
            "**/.azure/accessTokens.json",
            "**/.azure/msal_token_cache.json",
            "**/.terraform.d/credentials.tfrc.json",
            "**/.cargo/credentials.toml",
            "**/.cargo/credentials",
            "**/.gem/credentials",
            "**/.local/share/kwalletd/*",
        ],
    ),
    ("memory", &["/proc/kcore"]),
];

/// Who may speak there may mostly do as root does, or use somebody's keys.
const UNIX_SOCKETS: Table = &[
    (
        "container engine",
        &[
            "**/docker.sock",
            "**/docker/docker.sock",
            "**/containerd.sock",
            "**/crio.sock",
            "**/podman.sock",
            "**/buildkitd.sock",
            "**/cri-dockerd.sock",
            "**/lxd/unix.socket",
            "@/containerd-shim/*",
            "**/kubelet.sock",
        ],
    ),
    (
        "service manager",
        &["/run/systemd/private", "/run/systemd/io.systemd.*", "**/systemd/private"],
    ),
    ("message bus", &["**/system_bus_socket", "/run/user/*/bus", "@/tmp/dbus-*"]),
    (
        "key agent",
        &[
            "**/ssh-*/agent.*",
            "**/.ssh/agent/*",
            "**/S.gpg-agent*",
            "**/keyring/ssh",
            "**/keyring/control",
            "**/gcr/ssh",
        ],
    ),
    ("hypervisor", &["**/libvirt-sock", "**/virtlogd-sock", "**/firecracker.socket"]),
    ("database", &["**/mysqld.sock", "**/.s.PGSQL.*", "**/redis*.sock"]),
    ("display", &["@/tmp/.X11-unix/*", "/tmp/.X11-unix/*"]),
];

/// The files whose reading is reported unless the configuration says otherwise.
pub fn default_sensitive() -> Vec<Sensitive> {
    expanded(FILES)
}

/// The Unix sockets to which connections are reported unless the configuration says otherwise.
pub fn default_unix_sockets() -> Vec<Sensitive> {
    expanded(UNIX_SOCKETS)
}

fn expanded(table: Table) -> Vec<Sensitive> {
    table
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
