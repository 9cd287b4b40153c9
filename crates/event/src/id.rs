//! Identities. Each is a newtype, parsed once at the edge, printed in one way.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::Timestamp;

/// A text that is not the identity it should be.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no {what}; expected {expected}")]
pub struct ParseIdError {
    what: &'static str,
    text: String,
    expected: &'static str,
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u128);

        impl $name {
            /// From its 128 bits.
            pub const fn from_u128(bits: u128) -> Self {
                Self(bits)
            }

            /// Its 128 bits.
            pub const fn as_u128(self) -> u128 {
                self.0
            }
        }

        impl fmt::Display for $name {
            /// 32 lower-case hexadecimal digits.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:032x})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            /// Takes 32 hexadecimal digits; hyphens, as in a UUID, are passed over.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let refuse = || ParseIdError {
                    what: $what,
                    text: text.chars().take(64).collect(),
                    expected: "32 hexadecimal digits",
                };
                let digits: String = text.chars().filter(|c| *c != '-').collect();
                if digits.len() != 32 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(refuse());
                }
                u128::from_str_radix(&digits, 16).map(Self).map_err(|_| refuse())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_id!(
    /// One enrolled endpoint, given by the server at enrolment.
    EndpointId,
    "endpoint id"
);
hex_id!(
    /// One boot of a host's kernel (`/proc/sys/kernel/random/boot_id`).
    BootId,
    "boot id"
);
hex_id!(
    /// One alert.
    AlertId,
    "alert id"
);
hex_id!(
    /// One response plan.
    PlanId,
    "plan id"
);

/// One tenant of a server. Zero is the only tenant of a server that has not been divided.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct TenantId(pub u32);

/// One activity, world-wide. `seq` grows within (endpoint, boot), gaps allowed, never reused; so
/// at-least-once delivery becomes exactly-once by comparing identities.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct EventId {
    /// The tenant that owns the endpoint.
    pub tenant: TenantId,
    /// The endpoint that saw it.
    pub endpoint: EndpointId,
    /// The boot in which it was seen.
    pub boot: BootId,
    /// The sensor's counter within that boot.
    pub seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.endpoint, self.boot, self.seq)
    }
}

/// One process within an endpoint: never a bare pid, for pids are reused.
///
/// `start` is the kernel's start time of the thread-group leader in nanoseconds since boot
/// (`task->start_boottime`, rounded down to the clock tick of `/proc/PID/stat` field 22, so that
/// kernel and user mode name the same process alike).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessKey {
    /// The boot.
    pub boot: BootId,
    /// The thread-group id in the host's pid namespace.
    pub pid: u32,
    /// Start, in clock ticks (1/100 s) since boot.
    pub start_ticks: u64,
}

impl fmt::Display for ProcessKey {
    /// `BOOT-PID-TICKS`, for example `0f…e1-4121-883012`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.boot, self.pid, self.start_ticks)
    }
}

impl FromStr for ProcessKey {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseIdError {
            what: "process id",
            text: text.chars().take(80).collect(),
            expected: "BOOT-PID-TICKS",
        };
        let mut parts = text.split('-');
        let (Some(boot), Some(pid), Some(ticks), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refuse());
        };
        Ok(Self {
            boot: boot.parse().map_err(|_| refuse())?,
            pid: pid.parse().map_err(|_| refuse())?,
            start_ticks: ticks.parse().map_err(|_| refuse())?,
        })
    }
}

impl Serialize for ProcessKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProcessKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Orders identities by when the process started; used where a newest one is wanted.
impl ProcessKey {
    /// The start as nanoseconds since boot (a multiple of 10 ms).
    pub const fn start_nanos(&self) -> u64 {
        self.start_ticks.saturating_mul(10_000_000)
    }

    /// The wall-clock start, given the wall-clock time of boot.
    pub const fn started_at(&self, boot_time: Timestamp) -> Timestamp {
        boot_time.plus_nanos(self.start_nanos().cast_signed())
    }
}
