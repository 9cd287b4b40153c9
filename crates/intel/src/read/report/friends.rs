//! False friends: what looks like a domain or a path in a report, and is none.

use crate::normalise;

/// Endings of files that no domain has, or hardly any.
const FILES: &[&str] = &[
    "exe",
    "dll",
    "sys",
    "ps1",
    "psm1",
    "psd1",
    "bat",
    "cmd",
    "vbs",
    "vbe",
    "js",
    "jse",
    "wsf",
    "hta",
    "lnk",
    "scr",
    "pif",
    "cpl",
    "msi",
    "msp",
    "jar",
    "class",
    "war",
    "php",
    "asp",
    "aspx",
    "jsp",
    "html",
    "htm",
    "css",
    "json",
    "xml",
    "yml",
    "yaml",
    "toml",
    "ini",
    "conf",
    "cfg",
    "log",
    "txt",
    "csv",
    "pdf",
    "doc",
    "docx",
    "docm",
    "xls",
    "xlsx",
    "xlsm",
    "ppt",
    "pptx",
    "pptm",
    "rtf",
    "png",
    "jpg",
    "jpeg",
    "gif",
    "bmp",
    "ico",
    "svg",
    "mp3",
    "mp4",
    "avi",
    "rar",
    "7z",
    "gz",
    "tar",
    "tgz",
    "bz2",
    "xz",
    "iso",
    "img",
    "vhd",
    "bin",
    "dat",
    "tmp",
    "bak",
    "db",
    "sqlite",
    "c",
    "h",
    "cpp",
    "hpp",
    "cs",
    "go",
    "java",
    "kt",
    "swift",
    "lua",
    "rb",
    "o",
    "a",
    "ko",
    "elf",
    "deb",
    "rpm",
    "apk",
    "ipa",
    "dmg",
    "pkg",
    "key",
    "pem",
    "crt",
    "cer",
    "der",
    "pfx",
    "service",
    "timer",
    "socket",
    "local",
    "localdomain",
    "lan",
    "internal",
    "example",
    "invalid",
    "test",
    "yar",
    "yara",
    "rules",
    "pcap",
    "evtx",
    "dmp",
    "reg",
    "pdb",
    "inf",
    "cab",
    "ocx",
    "out",
    "lock",
    "pid",
    "onion",
];

/// Endings that are both: with two labels alone a file is meant, unless it is defanged.
const BOTH: &[&str] =
    &["py", "sh", "rs", "pl", "so", "md", "ps", "zip", "mov", "vb", "cc", "ml", "st"];

/// Top-level domains of more than two letters that are believed without being defanged: those that
/// stand in reports and are no words of code.
const LONG: &[&str] = &[
    "com",
    "net",
    "org",
    "info",
    "biz",
    "edu",
    "gov",
    "mil",
    "int",
    "arpa",
    "xyz",
    "top",
    "club",
    "online",
    "site",
    "shop",
    "store",
    "icu",
    "vip",
    "work",
    "live",
    "life",
    "world",
    "link",
    "click",
    "fun",
    "space",
    "website",
    "tech",
    "host",
    "press",
    "pro",
    "dev",
    "app",
    "cloud",
    "page",
    "bid",
    "win",
    "download",
    "stream",
    "loan",
    "date",
    "racing",
    "review",
    "trade",
    "party",
    "science",
    "buzz",
    "cyou",
    "cfd",
    "sbs",
    "monster",
    "quest",
    "rest",
    "bar",
    "beauty",
    "hair",
    "skin",
    "makeup",
    "autos",
    "boats",
    "homes",
    "mobi",
    "name",
    "asia",
    "tel",
    "news",
    "today",
    "agency",
    "digital",
    "email",
    "network",
    "systems",
    "support",
    "services",
    "solutions",
    "center",
    "group",
    "ltd",
    "rocks",
    "ninja",
    "guru",
    "zone",
    "best",
    "pics",
    "lol",
    "mom",
    "men",
    "ink",
    "pub",
    "red",
    "pink",
    "blue",
    "black",
    "kim",
    "wang",
    "ren",
    "xin",
    "cam",
    "run",
    "art",
    "bond",
    "lat",
    "fit",
];

/// First folders whose files are ordinary; what attackers bring lies elsewhere, or under a hash.
const ORDINARY: &[&str] =
    &["bin", "sbin", "lib", "lib64", "etc", "proc", "sys", "boot", "usr", "dev"];
/// Exceptions among them.
const EXTRAORDINARY: &[&str] = &["/dev/shm/", "/usr/local/", "/etc/cron.d/", "/etc/systemd/"];
/// First folders that a path begins with; `/gate.php` and `/and/or` are no paths of a host.
const FOLDERS: &[&str] = &[
    "tmp", "var", "opt", "home", "root", "run", "srv", "mnt", "media", "data", "Users", "Library",
];

/// Whether the word before a number says that it is a version.
pub(super) fn is_version(before: &str) -> bool {
    let word = before.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_ascii_lowercase();
    matches!(
        word.as_str(),
        "version"
            | "versions"
            | "ver"
            | "v"
            | "release"
            | "build"
            | "update"
            | "firmware"
            | "patch"
    )
}

/// Whether `host` is a domain. Defanged it is believed, but for what cannot be one.
pub(super) fn is_domain(host: &str, defanged: bool) -> bool {
    let Ok(canonical) = normalise::domain(host) else { return false };
    let (rest, last) = canonical.rsplit_once('.').unwrap_or(("", &canonical));
    if defanged {
        return true;
    }
    let written_last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let small = written_last.bytes().all(|byte| !byte.is_ascii_uppercase());
    let large = host.bytes().all(|byte| !byte.is_ascii_lowercase());
    // `System.Net`, `Microsoft.Win32.TaskScheduler`.
    if !small && !large {
        return false;
    }
    if FILES.contains(&last) || host.contains('_') && !rest.contains('.') {
        return false;
    }
    if BOTH.contains(&last) {
        return rest.contains('.');
    }
    let two_letters = last.len() == 2 && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    // `e.g`, `i.e`, `U.S`: one letter alone is an abbreviation.
    let long_enough = rest.split('.').next_back().is_some_and(|label| label.len() > 1);
    (two_letters && long_enough) || LONG.contains(&last) || last.starts_with("xn--")
}

/// The canonical form of a path that is not ordinary.
pub(super) fn path(word: &str) -> Option<String> {
    let found = normalise::path(word).ok()?;
    if !found.starts_with('/') {
        let ordinary = found.starts_with("c:\\windows\\system32\\");
        return (!ordinary && found.matches('\\').count() >= 2).then_some(found);
    }
    let first = found[1..].split('/').next().unwrap_or_default();
    if found.matches('/').count() < 2 {
        return None;
    }
    let known = FOLDERS.contains(&first)
        || ORDINARY.contains(&first) && EXTRAORDINARY.iter().any(|start| found.starts_with(start));
    known.then_some(found)
}
