//! Until when operating systems and kernels get security updates without a contract.
//!
//! Written down in November 2026. What is not in a table is said to be unknown, never guessed.

use metsuke_event::inventory::Support;

/// (`ID`, `VERSION_ID` or its first part, last day, source).
type Row = (&'static str, &'static str, &'static str, &'static str);

const DEBIAN: &str = "debian-distro-info (eol-lts), 2026-11";
const UBUNTU: &str = "ubuntu-distro-info (eol), 2026-11";
const RED_HAT: &str = "Red Hat Enterprise Linux life cycle, end of maintenance support";
const ROCKY: &str = "Rocky Linux release and version guide";
const ALMA: &str = "AlmaLinux wiki, release notes";
const AMAZON: &str = "Amazon Linux FAQ, end of life";
const CENTOS: &str = "CentOS end dates";

const SYSTEMS: [Row; 30] = [
    ("debian", "9", "2022-06-30", DEBIAN),
    ("debian", "10", "2024-06-30", DEBIAN),
    ("debian", "11", "2026-08-31", DEBIAN),
    ("debian", "12", "2028-06-30", DEBIAN),
    ("debian", "13", "2030-06-30", DEBIAN),
    ("ubuntu", "16.04", "2021-04-30", UBUNTU),
    ("ubuntu", "18.04", "2023-05-31", UBUNTU),
    ("ubuntu", "20.04", "2025-05-29", UBUNTU),
    ("ubuntu", "22.04", "2027-06-01", UBUNTU),
    ("ubuntu", "24.04", "2029-05-31", UBUNTU),
    ("ubuntu", "25.04", "2026-01-15", UBUNTU),
    ("ubuntu", "26.04", "2031-05-29", UBUNTU),
    ("rhel", "7", "2024-06-30", RED_HAT),
    ("rhel", "8", "2029-05-31", RED_HAT),
    ("rhel", "9", "2032-05-31", RED_HAT),
    ("rhel", "10", "2035-05-31", RED_HAT),
    ("rocky", "8", "2029-05-31", ROCKY),
    ("rocky", "9", "2032-05-31", ROCKY),
    ("rocky", "10", "2035-05-31", ROCKY),
    ("almalinux", "8", "2029-03-01", ALMA),
    ("almalinux", "9", "2032-05-31", ALMA),
    ("almalinux", "10", "2035-05-31", ALMA),
    ("centos", "6", "2020-11-30", CENTOS),
    ("centos", "7", "2024-06-30", CENTOS),
    ("centos", "8", "2024-05-31", "CentOS end dates; Stream 8, the last of them"),
    ("centos", "9", "2027-05-31", CENTOS),
    ("amzn", "2", "2026-06-30", AMAZON),
    ("amzn", "2023", "2029-06-30", AMAZON),
    ("ol", "8", "2029-07-31", "Oracle Linux support policy, premier support"),
    ("ol", "9", "2032-06-30", "Oracle Linux support policy, premier support"),
];

/// kernel.org longterm branches: (branch, last month).
const KERNELS: [(&str, &str); 8] = [
    ("4.14", "2024-01-31"),
    ("4.19", "2024-12-31"),
    ("5.4", "2025-12-31"),
    ("5.10", "2026-12-31"),
    ("5.15", "2026-12-31"),
    ("6.1", "2027-12-31"),
    ("6.6", "2027-12-31"),
    ("6.12", "2028-12-31"),
];
/// Named apart: the youngest, and said to be projected.
const NEWEST: (&str, &str) = ("6.18", "2028-12-31");

/// Marks of kernels that a distribution builds and keeps up to date as long as itself.
const DISTRIBUTIONS: [&str; 14] = [
    "-amd64",
    "-arm64",
    "-cloud-",
    "-generic",
    "-aws",
    "-azure",
    "-gcp",
    "-lowlatency",
    ".el7",
    ".el8",
    ".el9",
    ".el10",
    ".amzn",
    "el8uek",
];

fn unknown(why: String) -> Support {
    Support { ends: None, source: why }
}

/// Support of the system with this os-release(5) `ID` and `VERSION_ID`.
pub(crate) fn system(id: &str, version: &str) -> Support {
    let major = version.split('.').next().unwrap_or_default();
    let row = SYSTEMS.iter().find(|row| row.0 == id && (row.1 == version || row.1 == major));
    match row {
        Some(row) => Support { ends: Some(row.2.to_owned()), source: row.3.to_owned() },
        None => unknown(format!("no end of support is known here for {id} {version}")),
    }
}

/// Support of this kernel release on a system with that support.
pub(crate) fn kernel(release: &str, system: &Support) -> Support {
    if DISTRIBUTIONS.iter().any(|mark| release.contains(mark)) {
        let source = "a kernel of the distribution, kept up as long as the system".to_owned();
        return Support { ends: system.ends.clone(), source };
    }
    let mut parts = release.split(['.', '-']);
    let branch = match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => format!("{major}.{minor}"),
        _ => return unknown(format!("`{release}` is no kernel release")),
    };
    let row = KERNELS.iter().chain([&NEWEST]).find(|row| row.0 == branch);
    match row {
        Some(row) => Support {
            ends: Some(row.1.to_owned()),
            source: "kernel.org longterm releases, projected end of life as of 2026-03".to_owned(),
        },
        None => unknown(format!(
            "{branch} is no longterm branch of kernel.org known here; others end weeks after the next"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{kernel, system};

    #[test]
    fn known_systems_have_a_day_and_unknown_ones_a_reason() {
        assert_eq!(system("debian", "12").ends.as_deref(), Some("2028-06-30"));
        assert_eq!(system("rhel", "9.4").ends.as_deref(), Some("2032-05-31"));
        assert_eq!(system("ubuntu", "24.04").ends.as_deref(), Some("2029-05-31"));
        assert_eq!(system("ubuntu", "24.10").ends, None);
        assert!(system("arch", "").source.contains("arch"));
    }

    #[test]
    fn a_distributions_kernel_lives_as_long_as_the_distribution() {
        let debian = system("debian", "12");
        assert_eq!(kernel("6.1.0-28-amd64", &debian).ends, debian.ends);
        assert_eq!(kernel("6.18.44-custom", &debian).ends.as_deref(), Some("2028-12-31"));
        assert_eq!(kernel("6.17.1", &debian).ends, None);
        assert_eq!(kernel("odd", &debian).ends, None);
    }
}
