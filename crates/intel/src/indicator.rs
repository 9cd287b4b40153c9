//! What an indicator is: a value of a kind in its canonical form, and who says what of it.
//!
//! Leaves canonical forms to `normalise`. Invariant: the numbers of kinds are stable; they stand in
//! snapshots.

use std::sync::Arc;

use metsuke_event::{Text, Timestamp};
use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal $name:literal;)+) => {
        /// What kind of value an indicator is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "lowercase")]
        #[repr(u8)]
        pub enum Kind {
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl Kind {
            /// Every kind, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name in files and on screens.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The kind called `name`.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            /// The kind of this number.
            pub fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

kinds! {
    /// SHA-256 of a file's content.
    Sha256 = 1 "sha256";
    /// SHA-1 of a file's content.
    Sha1 = 2 "sha1";
    /// MD5 of a file's content.
    Md5 = 3 "md5";
    /// IPv4 address.
    Ipv4 = 4 "ipv4";
    /// IPv6 address.
    Ipv6 = 5 "ipv6";
    /// Network of addresses of either family.
    Cidr = 6 "cidr";
    /// Domain, with everything below it.
    Domain = 7 "domain";
    /// URL.
    Url = 8 "url";
    /// Absolute path of a file.
    Path = 9 "path";
    /// JA3 fingerprint of a TLS client.
    Ja3 = 10 "ja3";
    /// JA4 fingerprint of a TLS client.
    Ja4 = 11 "ja4";
    /// Fingerprint of a certificate: SHA-256, SHA-1 or MD5 of its DER form.
    Certificate = 12 "certificate";
    /// Name of a mutex, pipe, event or the like.
    Name = 13 "name";
    /// E-mail address.
    Email = 14 "email";
}

/// What is to be done when it is seen.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Known good: wins over everything else that is said of the value.
    Allow,
    /// Told.
    #[default]
    Alert,
    /// Told, and stopped where the policy's mode is block.
    Block,
}

impl Action {
    /// The action called `name`, case ignored.
    pub fn from_name(name: &str) -> Option<Self> {
        [("allow", Self::Allow), ("alert", Self::Alert), ("block", Self::Block)]
            .into_iter()
            .find_map(|(known, action)| name.eq_ignore_ascii_case(known).then_some(action))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Alert => "alert",
            Self::Block => "block",
        }
    }

    /// The name of the list that does this to what is seen: `allow`, `watch`, `block`.
    pub const fn list(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Alert => "watch",
            Self::Block => "block",
        }
    }

    /// What the list called `name` does.
    pub fn of_list(name: &str) -> Option<Self> {
        [Self::Allow, Self::Alert, Self::Block].into_iter().find(|action| action.list() == name)
    }
}

/// How bad it is, in Sigma's words.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each variant is the level of the same name")]
pub enum Severity {
    Informational,
    Low,
    #[default]
    Medium,
    High,
    Critical,
}

impl Severity {
    /// Every level, from the lowest.
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The level called `name`, case ignored; `info` is `informational`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name.eq_ignore_ascii_case("info") { "informational" } else { name };
        Self::ALL.into_iter().find(|level| name.eq_ignore_ascii_case(level.name()))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What many indicators of one document share; held once for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Context {
    /// Who says so: the name of a feed, or of one's own list.
    pub source: Text,
    /// The document it stands in.
    pub document: Option<Text>,
    /// How sure the source is, 0 to 100 (STIX 2.1 appendix A); unset when it does not say.
    pub confidence: Option<u8>,
    /// How bad it is.
    pub severity: Severity,
    /// Words the source put to it, in their order there.
    pub labels: Vec<Text>,
    /// What is to be done.
    pub action: Action,
    /// Who answers for it here.
    pub owner: Option<Text>,
}

/// A value believed bad, or known good.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Indicator {
    /// What kind of value.
    pub kind: Kind,
    /// The value, in the kind's canonical form.
    pub value: Text,
    /// Who says what of it.
    #[serde(flatten)]
    pub context: Arc<Context>,
    /// The source's name for it: a STIX id, a MISP uuid, a line.
    pub object: Option<Text>,
    /// When it was first seen by the source.
    pub first_seen: Option<Timestamp>,
    /// When it was last seen by the source.
    pub last_seen: Option<Timestamp>,
    /// From when on it no longer holds; unset: it holds until it is taken away.
    pub expires: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::{Action, Kind, Severity};

    #[test]
    fn names_lead_back() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
            assert_eq!(Kind::from_number(*kind as u8), Some(*kind));
        }
        for level in Severity::ALL {
            assert_eq!(Severity::from_name(&level.name().to_uppercase()), Some(level));
        }
        for action in [Action::Allow, Action::Alert, Action::Block] {
            assert_eq!(Action::from_name(action.name()), Some(action));
            assert_eq!(Action::of_list(action.list()), Some(action));
        }
    }
}
