//! Reads the kernel's records (`docs/spec/bpf-records.md`, `bpf/records.h`).
//!
//! Invariant: any bytes whatever give a record or `None`, never a panic.

mod acts;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) use acts::{Change, ModuleRecord, Object, Reach, Region};

/// Kinds, as in `records.h`.
pub(crate) mod kind {
    pub(crate) const FORK: u16 = 1;
    pub(crate) const EXEC: u16 = 2;
    pub(crate) const EXIT: u16 = 3;
    pub(crate) const MOVED: u16 = 4;
    pub(crate) const IDENTITY: u16 = 5;
    pub(crate) const RENAMED: u16 = 6;
    pub(crate) const NAMESPACE: u16 = 7;
    pub(crate) const GROUP: u16 = 8;
    pub(crate) const CREATE: u16 = 10;
    pub(crate) const WRITE: u16 = 11;
    pub(crate) const READ: u16 = 12;
    pub(crate) const CLOSE: u16 = 13;
    pub(crate) const DELETE: u16 = 14;
    pub(crate) const RENAME: u16 = 15;
    pub(crate) const LINK: u16 = 16;
    pub(crate) const TRUNCATE: u16 = 17;
    pub(crate) const CONNECT: u16 = 20;
    pub(crate) const ACCEPT: u16 = 21;
    pub(crate) const LISTEN: u16 = 22;
    pub(crate) const DNS: u16 = 30;
    pub(crate) const HARD_LINK: u16 = 70;
    pub(crate) const SYMLINK: u16 = 71;
    pub(crate) const EXCHANGE: u16 = 72;
    pub(crate) const MODE: u16 = 73;
    pub(crate) const OWNER: u16 = 74;
    pub(crate) const TIMES: u16 = 75;
    pub(crate) const XATTR: u16 = 76;
    // 77 is an extended attribute that was removed.
    pub(crate) const FLAGS: u16 = 78;
    pub(crate) const MOUNT: u16 = 79;
    pub(crate) const UNMOUNT: u16 = 80;
    pub(crate) const RAW_ACCESS: u16 = 81;
    pub(crate) const DATAGRAMS: u16 = 82;
    pub(crate) const DATAGRAMS_END: u16 = 83;
    pub(crate) const STREAM: u16 = 84;
    pub(crate) const GREETING: u16 = 85;
    pub(crate) const UNIX: u16 = 86;
    pub(crate) const BIND: u16 = 87;
    pub(crate) const RAW_SOCKET: u16 = 88;
    pub(crate) const FLOW_END: u16 = 89;
    pub(crate) const MODULE_LOAD: u16 = 40;
    pub(crate) const MODULE_UNLOAD: u16 = 41;
    pub(crate) const ACCESS: u16 = 50;
    pub(crate) const INJECT: u16 = 51;
    pub(crate) const SIGNAL: u16 = 52;
    pub(crate) const MAP: u16 = 53;
    pub(crate) const PROTECT: u16 = 54;
    pub(crate) const MEMORY_FILE: u16 = 55;
    pub(crate) const IMAGE: u16 = 56;
    pub(crate) const BPF: u16 = 57;
    pub(crate) const KEXEC: u16 = 58;
    pub(crate) const RING: u16 = 59;
    pub(crate) const SETTING: u16 = 60;
}

/// Flags, as in `records.h`.
pub(crate) mod flag {
    pub(crate) const CUT: u16 = 1;
    pub(crate) const SINGLE: u16 = 2;
    pub(crate) const MEMORY: u16 = 4;
    pub(crate) const GONE: u16 = 8;
    pub(crate) const SCRIPT: u16 = 16;
    pub(crate) const ANSWER: u16 = 32;
    pub(crate) const VIRTUAL: u16 = 64;
    pub(crate) const UPPER: u16 = 128;
    pub(crate) const LOWER: u16 = 256;
    pub(crate) const ENV_CUT: u16 = 512;
    pub(crate) const OUTGOING: u16 = 1024;
}

/// What every record begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) time: u64,
    pub(crate) start: u64,
    pub(crate) pid: u32,
    pub(crate) uid: u32,
}

impl Head {
    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fork {
    pub(crate) parent_start: u64,
    pub(crate) cgroup: u64,
    pub(crate) parent: u32,
    pub(crate) session: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exec<'a> {
    pub(crate) parent_start: u64,
    pub(crate) cgroup: u64,
    pub(crate) inode: u64,
    pub(crate) capabilities: u64,
    /// Of the executable: its change time in nanoseconds since 1970, and its bytes.
    pub(crate) changed: u64,
    pub(crate) length: u64,
    /// Where its environment begins and ends in its memory.
    pub(crate) environment: (u64, u64),
    pub(crate) kernel_device: u32,
    pub(crate) parent: u32,
    pub(crate) session: u32,
    pub(crate) euid: u32,
    pub(crate) gid: u32,
    pub(crate) login_uid: u32,
    pub(crate) tty: u32,
    /// pid mount net user cgroup uts ipc.
    pub(crate) namespaces: [u32; 7],
    pub(crate) seccomp: u32,
    pub(crate) stdio: [u8; 2],
    pub(crate) name: &'a [u8],
    pub(crate) exe: &'a [u8],
    pub(crate) cwd: &'a [u8],
    pub(crate) script: &'a [u8],
    pub(crate) args: &'a [u8],
    pub(crate) env: &'a [u8],
}

/// A control group that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made<'a> {
    pub(crate) cgroup: u64,
    pub(crate) path: &'a [u8],
}

/// How a process ended, and what it used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Nanoseconds of processor time.
    pub(crate) cpu: u64,
    /// Pages resident at most.
    pub(crate) peak: u64,
    pub(crate) status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileRecord<'a> {
    pub(crate) inode: u64,
    pub(crate) bytes: u64,
    pub(crate) length: u64,
    pub(crate) kernel_device: u32,
    pub(crate) mode: u32,
    pub(crate) base: &'a [u8],
    pub(crate) path: &'a [u8],
    pub(crate) base2: &'a [u8],
    pub(crate) path2: &'a [u8],
    /// `path` and `path2` with whatever follows their first NUL.
    pub(crate) raw: [&'a [u8]; 2],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flow<'a> {
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
    pub(crate) remote_bytes: [u8; 16],
    pub(crate) local_port: u16,
    pub(crate) remote_port: u16,
    pub(crate) protocol: u16,
    pub(crate) family: u16,
    pub(crate) socket_type: u16,
    pub(crate) error: i32,
    pub(crate) payload: &'a [u8],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body<'a> {
    Fork(Fork),
    Exec(Box<Exec<'a>>),
    Exit(Exit),
    Moved,
    Group(Made<'a>),
    Change(Change<'a>),
    Reach(Reach),
    Region(Region<'a>),
    Object(Box<Object<'a>>),
    File(FileRecord<'a>),
    Flow(Flow<'a>),
    Module(ModuleRecord<'a>),
}

/// Reads one record.
pub(crate) fn parse(bytes: &[u8]) -> Option<(Head, Body<'_>)> {
    let mut input = Input(bytes);
    let size = input.u32()?;
    if usize::try_from(size) != Ok(bytes.len()) {
        return None;
    }
    let head = Head {
        kind: input.u16()?,
        flags: input.u16()?,
        time: input.u64()?,
        start: input.u64()?,
        pid: input.u32()?,
        uid: input.u32()?,
    };
    let body = match head.kind {
        kind::FORK => Body::Fork(Fork {
            parent_start: input.u64()?,
            cgroup: input.u64()?,
            parent: input.u32()?,
            session: input.u32()?,
        }),
        kind::EXEC => Body::Exec(Box::new(exec(&mut input)?)),
        kind::EXIT => {
            Body::Exit(Exit { cpu: input.u64()?, peak: input.u64()?, status: input.u32()? })
        }
        kind::MOVED => Body::Moved,
        kind::GROUP => Body::Group(group(&mut input)?),
        kind::IDENTITY..=kind::NAMESPACE => Body::Change(Change::read(&mut input)?),
        kind::ACCESS..=kind::SIGNAL => Body::Reach(Reach::read(&mut input)?),
        kind::MAP..=kind::IMAGE => Body::Region(Region::read(&mut input)?),
        kind::BPF..=kind::SETTING => Body::Object(Box::new(Object::read(&mut input)?)),
        kind::CREATE..=kind::TRUNCATE | kind::HARD_LINK..=kind::RAW_ACCESS | kind::UNIX => {
            Body::File(file(&mut input)?)
        }
        kind::CONNECT..=kind::DNS
        | kind::DATAGRAMS..=kind::GREETING
        | kind::BIND..=kind::FLOW_END => Body::Flow(flow(&mut input)?),
        kind::MODULE_LOAD | kind::MODULE_UNLOAD => Body::Module(ModuleRecord::read(&mut input)?),
        _ => return None,
    };
    Some((head, body))
}

fn exec<'a>(input: &mut Input<'a>) -> Option<Exec<'a>> {
    let mut exec = Exec {
        parent_start: input.u64()?,
        cgroup: input.u64()?,
        inode: input.u64()?,
        capabilities: input.u64()?,
        changed: input.u64()?,
        length: input.u64()?,
        environment: (input.u64()?, input.u64()?),
        kernel_device: input.u32()?,
        parent: input.u32()?,
        session: input.u32()?,
        euid: input.u32()?,
        gid: input.u32()?,
        login_uid: input.u32()?,
        tty: input.u32()?,
        namespaces: input.u32s()?,
        seccomp: input.u32()?,
        stdio: [input.u8()?, input.u8()?],
        name: &[],
        exe: &[],
        cwd: &[],
        script: &[],
        args: &[],
        env: &[],
    };
    input.bytes(2)?;
    let mut length = || input.u16().map(usize::from);
    let lengths = [length()?, length()?, length()?, length()?, length()?];
    input.bytes(6)?;
    exec.name = text(input.bytes(16)?);
    exec.exe = input.bytes(lengths[0])?;
    exec.cwd = input.bytes(lengths[1])?;
    exec.script = text(input.bytes(lengths[2])?);
    exec.args = input.bytes(lengths[3])?;
    exec.env = input.bytes(lengths[4])?;
    Some(exec)
}

fn group<'a>(input: &mut Input<'a>) -> Option<Made<'a>> {
    let cgroup = input.u64()?;
    let length = usize::try_from(input.u32()?).ok()?;
    input.bytes(4)?;
    Some(Made { cgroup, path: text(input.bytes(length)?) })
}

fn file<'a>(input: &mut Input<'a>) -> Option<FileRecord<'a>> {
    let mut record = FileRecord {
        inode: input.u64()?,
        bytes: input.u64()?,
        length: input.u64()?,
        kernel_device: input.u32()?,
        mode: input.u32()?,
        base: &[],
        path: &[],
        base2: &[],
        path2: &[],
        raw: [&[], &[]],
    };
    let mut length = || input.u16().map(usize::from);
    let lengths = [length()?, length()?, length()?, length()?];
    record.base = input.bytes(lengths[0])?;
    record.raw[0] = input.bytes(lengths[1])?;
    record.base2 = input.bytes(lengths[2])?;
    record.raw[1] = input.bytes(lengths[3])?;
    record.path = text(record.raw[0]);
    record.path2 = text(record.raw[1]);
    Some(record)
}

fn flow<'a>(input: &mut Input<'a>) -> Option<Flow<'a>> {
    let (local, remote_bytes) = (input.address()?, input.address()?);
    let (local_port, remote_port) = (input.u16()?, input.u16()?);
    let (family, protocol) = (input.u16()?, input.u16()?);
    let error = input.u32()?.cast_signed();
    let payload = usize::from(input.u16()?);
    let socket_type = input.u16()?;
    let remote = ip(family, remote_bytes);
    let local = ip(family, local);
    let payload = input.bytes(payload)?;
    Some(Flow {
        local,
        remote,
        remote_bytes,
        local_port,
        remote_port,
        protocol,
        family,
        socket_type,
        error,
        payload,
    })
}

fn ip(family: u16, bytes: [u8; 16]) -> IpAddr {
    const AF_INET: u16 = 2;
    if family == AF_INET {
        return Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into();
    }
    IpAddr::from(Ipv6Addr::from(bytes)).to_canonical()
}

/// The kernel keeps devices as 12 bits of major and 20 of minor number; stat(2) gives another form.
pub(crate) fn device(kernel: u32) -> u64 {
    libc::makedev(kernel >> 20, kernel & 0xf_ffff)
}

/// The absolute path of components that stand last first, each ended by NUL.
pub(crate) fn path(components: &[u8]) -> String {
    let mut path = String::with_capacity(components.len() + 1);
    let trimmed = components.strip_suffix(&[0]).unwrap_or(components);
    if !trimmed.is_empty() {
        for part in trimmed.rsplit(|byte| *byte == 0) {
            path.push('/');
            path.push_str(&String::from_utf8_lossy(part));
        }
    }
    if path.is_empty() {
        path.push('/');
    }
    path
}

/// The absolute path of a name that the caller gave, starting from `base`; `.` and `..` are solved
/// by text, as symbolic links can no longer be asked about.
pub(crate) fn resolve(base: &[u8], name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let whole =
        if name.starts_with('/') { name.into_owned() } else { format!("{}/{name}", path(base)) };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Bytes up to the first NUL.
fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn address(&mut self) -> Option<[u8; 16]> {
        self.array()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    fn u32s<const N: usize>(&mut self) -> Option<[u32; N]> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = self.u32()?;
        }
        Some(numbers)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{kind, parse, path, resolve};

    #[test]
    fn paths() {
        assert_eq!(path(b"sh\0bin\0usr\0"), "/usr/bin/sh");
        assert_eq!(path(b"memfd:a\0"), "/memfd:a");
        assert_eq!(path(b""), "/");
        for (base, name, expected) in [
            (&b"b\0a\0"[..], &b"c"[..], "/a/b/c"),
            (b"b\0a\0", b"../c/./d", "/a/c/d"),
            (b"", b"/x//y/", "/x/y"),
            (b"", b"../../z", "/z"),
        ] {
            assert_eq!(resolve(base, name), expected);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic() {
        for kind in 0..=u16::from(u8::MAX) {
            for length in 0..400_usize {
                let mut bytes = vec![0xff_u8; length];
                if length >= 6 {
                    let size = u32::try_from(length).unwrap();
                    bytes[..4].copy_from_slice(&size.to_ne_bytes());
                    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
                }
                let _ = parse(&bytes);
            }
        }
    }

    #[test]
    fn a_record_of_another_length_than_it_says_is_none() {
        let mut bytes = vec![0_u8; 56];
        bytes[..4].copy_from_slice(&56_u32.to_ne_bytes());
        bytes[4..6].copy_from_slice(&kind::EXIT.to_ne_bytes());
        assert!(parse(&bytes).is_some());
        bytes.push(0);
        assert!(parse(&bytes).is_none());
    }
}
