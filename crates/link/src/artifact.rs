//! Evidence on its way to the server, as Rust types, and to and from the wire with its bounds.
//! The order of messages: `docs/spec/link.md`, "Artifacts".

use bytes::Bytes;
use metsuke_event::Timestamp;
use metsuke_event::id::PlanId;

use crate::limits::{
    ARTIFACT_CHUNK_MAX, ARTIFACT_MAX, ARTIFACT_META_MAX, ARTIFACT_NAME_MAX, FACT_MAX,
};
use crate::proto;
use crate::proto::downstream::Kind as Down;
use crate::proto::upstream::Kind as Up;
use crate::wire::{WireError, bounded};

/// Hexadecimal digits of a SHA-256.
const SHA256_DIGITS: usize = 64;

/// What an artifact is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The plan that brought it, and its identity.
    pub plan: PlanId,
    /// `dump`, `file`, `matches`, `list`, `crossview`.
    pub kind: String,
    /// Of what.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
    /// When it was taken, by the sensor's clock.
    pub taken: Timestamp,
    /// What else is known of it, a JSON object.
    pub meta: String,
}

/// What a sensor says of artifacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactPart {
    /// There is one.
    Offer(Offer),
    /// Bytes of the one that was offered.
    Chunk {
        /// Which.
        plan: PlanId,
        /// Where they begin.
        offset: u64,
        /// The bytes.
        data: Bytes,
    },
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArtifactAnswer {
    /// What is before `offset` is written; what comes next?
    Wanted {
        /// Which.
        plan: PlanId,
        /// From where.
        offset: u64,
    },
    /// It is whole and on disk.
    Stored {
        /// Which.
        plan: PlanId,
    },
    /// It is not taken.
    Refused {
        /// Which.
        plan: PlanId,
        /// Why.
        reason: String,
        /// Whether it may be offered again.
        later: bool,
    },
}

impl Offer {
    /// For the wire.
    pub(crate) fn to_proto(&self) -> Up {
        Up::ArtifactOffer(proto::ArtifactOffer {
            plan: self.plan.to_string(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            size: self.size,
            sha256: self.sha256.clone(),
            taken_ns: self.taken.as_nanos(),
            meta_json: self.meta.clone(),
        })
    }
}

impl ArtifactPart {
    /// Which artifact it is about.
    pub const fn plan(&self) -> PlanId {
        match self {
            Self::Offer(offer) => offer.plan,
            Self::Chunk { plan, .. } => *plan,
        }
    }

    pub(crate) fn from_offer(offer: proto::ArtifactOffer) -> Result<Self, WireError> {
        bounded("artifact kind", offer.kind.len(), FACT_MAX)?;
        bounded("artifact name", offer.name.len(), ARTIFACT_NAME_MAX)?;
        bounded("artifact meta", offer.meta_json.len(), ARTIFACT_META_MAX)?;
        let size = usize::try_from(offer.size).unwrap_or(usize::MAX);
        bounded("artifact", size, usize::try_from(ARTIFACT_MAX).unwrap_or(usize::MAX))?;
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if offer.sha256.len() != SHA256_DIGITS || !offer.sha256.bytes().all(is_digit) {
            return Err(WireError::Unreadable("artifact sha256"));
        }
        let is_object = serde_json::from_str::<serde_json::Value>(&offer.meta_json)
            .is_ok_and(|value| value.is_object());
        if !is_object {
            return Err(WireError::Unreadable("artifact meta"));
        }
        Ok(Self::Offer(Offer {
            plan: plan(&offer.plan)?,
            kind: offer.kind,
            name: offer.name,
            size: offer.size,
            sha256: offer.sha256,
            taken: Timestamp::from_nanos(offer.taken_ns),
            meta: offer.meta_json,
        }))
    }

    pub(crate) fn from_chunk(chunk: proto::ArtifactChunk) -> Result<Self, WireError> {
        bounded("artifact chunk", chunk.data.len(), ARTIFACT_CHUNK_MAX)?;
        Ok(Self::Chunk { plan: plan(&chunk.plan)?, offset: chunk.offset, data: chunk.data })
    }
}

impl ArtifactAnswer {
    pub(crate) fn to_proto(&self) -> Down {
        match self {
            Self::Wanted { plan, offset } => Down::ArtifactWanted(proto::ArtifactWanted {
                plan: plan.to_string(),
                offset: *offset,
            }),
            Self::Stored { plan } => {
                Down::ArtifactStored(proto::ArtifactStored { plan: plan.to_string() })
            }
            Self::Refused { plan, reason, later } => {
                Down::ArtifactRefused(proto::ArtifactRefused {
                    plan: plan.to_string(),
                    reason: reason.clone(),
                    later: *later,
                })
            }
        }
    }
}

fn plan(text: &str) -> Result<PlanId, WireError> {
    text.parse().map_err(|_| WireError::Unreadable("plan"))
}

#[cfg(test)]
mod tests {
    use metsuke_event::Timestamp;
    use metsuke_event::id::PlanId;

    use super::{ArtifactPart, Offer, Up, proto};
    use crate::limits::{ARTIFACT_CHUNK_MAX, ARTIFACT_MAX};

    fn offer() -> Offer {
        Offer {
            plan: PlanId::from_u128(7),
            kind: "file".to_owned(),
            name: "/etc/hosts".to_owned(),
            size: 9,
            sha256: "0a".repeat(32),
            taken: Timestamp::from_millis(5),
            meta: r#"{"mode":420}"#.to_owned(),
        }
    }

    #[test]
    fn an_offer_arrives_as_it_was_made_or_not_at_all() {
        let read = |offer: &Offer| {
            let Up::ArtifactOffer(offer) = offer.to_proto() else { panic!("an offer") };
            ArtifactPart::from_offer(offer)
        };
        assert_eq!(read(&offer()).expect("within bounds"), ArtifactPart::Offer(offer()));
        for wrong in [
            Offer { size: ARTIFACT_MAX + 1, ..offer() },
            Offer { sha256: "0A".repeat(32), ..offer() },
            Offer { sha256: "../../etc/passwd".to_owned(), ..offer() },
            Offer { meta: "[]".to_owned(), ..offer() },
            Offer { meta: "{".to_owned(), ..offer() },
            Offer { name: "x".repeat(9_999), ..offer() },
        ] {
            assert!(read(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_chunk_over_its_bound_is_refused() {
        let chunk = |length| proto::ArtifactChunk {
            plan: PlanId::from_u128(7).to_string(),
            offset: 0,
            data: vec![0; length].into(),
        };
        assert!(ArtifactPart::from_chunk(chunk(ARTIFACT_CHUNK_MAX)).is_ok());
        assert!(ArtifactPart::from_chunk(chunk(ARTIFACT_CHUNK_MAX + 1)).is_err());
    }
}
