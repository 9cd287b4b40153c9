//! Everything but activities to and from the wire, with the bounds of `limits.rs`.

use bytes::Bytes;
use metsuke_event::coverage::Coverage;
use metsuke_event::id::PlanId;
use metsuke_event::{EndpointId, Timestamp};
use metsuke_respond::{Plan, Policy, Update};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{boot_bytes, boot_id};
use crate::limits::{
    BUNDLE_COMPRESSED_MAX, BUNDLE_DECOMPRESSED_MAX, BUNDLE_DOCUMENTS_MAX, COVERAGE_MAX, FACT_MAX,
    INDICATOR_PART_MAX, INDICATOR_PARTS_MAX, LIST_MAX, PLAN_MAX, PROTOCOL,
};
use crate::message::{
    Bundle, Downstream, EnrolFacts, Evictions, Heartbeat, Hello, PackKind, PackPart, PackVersions,
    PlanUpdate,
};
use crate::proto;
use crate::sign::{Purpose, SignatureError, SigningKey, verify};

const ZSTD_LEVEL: i32 = 3;

/// A message that breaks the protocol.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Another version.
    #[error("the other side speaks protocol {0}, this one {PROTOCOL}; update the older one")]
    Protocol(u32),
    /// A text or list is over its bound.
    #[error("`{what}` has {found} bytes or entries, at most {max} are taken")]
    TooLarge {
        /// Which.
        what: &'static str,
        /// How large.
        found: usize,
        /// The bound.
        max: usize,
    },
    /// It cannot be read.
    #[error("`{0}` cannot be read")]
    Unreadable(&'static str),
    /// It is not signed by the server.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is meant for somebody else.
    #[error("the plan is for endpoint {0}, not for this one")]
    OtherEndpoint(EndpointId),
}

pub(crate) fn bounded(what: &'static str, found: usize, max: usize) -> Result<(), WireError> {
    if found > max { Err(WireError::TooLarge { what, found, max }) } else { Ok(()) }
}

fn fact(what: &'static str, text: String) -> Result<String, WireError> {
    bounded(what, text.len(), FACT_MAX)?;
    Ok(text)
}

fn facts(what: &'static str, texts: Vec<String>) -> Result<Vec<String>, WireError> {
    bounded(what, texts.len(), LIST_MAX)?;
    texts.into_iter().map(|text| fact(what, text)).collect()
}

fn json<T: Serialize>(value: &T) -> String {
    // The types serialised here have text keys only, so this cannot fail; an empty text is
    // refused by the reader, should that ever change.
    serde_json::to_string(value).unwrap_or_default()
}

fn coverage(text: &str) -> Result<Option<Coverage>, WireError> {
    bounded("coverage", text.len(), COVERAGE_MAX)?;
    Ok(serde_json::from_str(text).ok())
}

/// Enrolment facts from the wire.
pub(crate) fn enrol_facts(request: &proto::EnrolRequest) -> Result<EnrolFacts, WireError> {
    Ok(EnrolFacts {
        host: fact("host", request.host.clone())?,
        os: fact("os", request.os.clone())?,
        kernel: fact("kernel", request.kernel.clone())?,
        version: fact("version", request.version.clone())?,
    })
}

impl Hello {
    pub(crate) fn to_proto(&self) -> proto::Hello {
        proto::Hello {
            protocol: PROTOCOL,
            version: self.version.clone(),
            host: self.host.clone(),
            boot: boot_bytes(self.boot),
            coverage_json: self.coverage.as_ref().map(json).unwrap_or_default(),
            sent_ns: self.sent.as_nanos(),
            scope: self.scope.clone(),
            os: self.os.clone(),
            kernel: self.kernel.clone(),
            addresses: self.addresses.iter().take(LIST_MAX).cloned().collect(),
            content_version: self.content_version.clone(),
            policy_version: self.policy_version,
            decided_version: self.packs.decided,
            filter_version: self.packs.filter,
        }
    }

    pub(crate) fn from_proto(hello: proto::Hello) -> Result<Self, WireError> {
        if hello.protocol != PROTOCOL {
            return Err(WireError::Protocol(hello.protocol));
        }
        Ok(Self {
            version: fact("version", hello.version)?,
            host: fact("host", hello.host)?,
            os: fact("os", hello.os)?,
            kernel: fact("kernel", hello.kernel)?,
            boot: boot_id(&hello.boot).map_err(|_| WireError::Unreadable("boot"))?,
            coverage: coverage(&hello.coverage_json)?,
            sent: Timestamp::from_nanos(hello.sent_ns),
            scope: fact("scope", hello.scope)?,
            addresses: facts("addresses", hello.addresses)?,
            content_version: fact("content_version", hello.content_version)?,
            policy_version: hello.policy_version,
            packs: PackVersions { decided: hello.decided_version, filter: hello.filter_version },
        })
    }
}

impl Heartbeat {
    pub(crate) fn to_proto(&self) -> proto::Heartbeat {
        proto::Heartbeat {
            sent_ns: self.sent.as_nanos(),
            lag_ms: self.lag_ms,
            spool_bytes: self.spool_bytes,
            spool_events: self.spool_events,
            lost_total: self.lost_total,
            events_total: self.events_total,
            cpu_ms: self.cpu_ms,
            rss_bytes: self.rss_bytes,
            edge_hits: self.edge_hits,
            coverage_json: self.coverage.as_ref().map(json).unwrap_or_default(),
            content_version: self.content_version.clone(),
            policy_version: self.policy_version,
            degraded: self.degraded.iter().take(LIST_MAX).cloned().collect(),
            evictions: Some(self.evictions.to_proto()),
            indicator_candidates: self.indicator_candidates,
            indicator_blocked: self.indicator_blocked,
        }
    }

    pub(crate) fn from_proto(heartbeat: proto::Heartbeat) -> Result<Self, WireError> {
        Ok(Self {
            sent: Timestamp::from_nanos(heartbeat.sent_ns),
            lag_ms: heartbeat.lag_ms,
            spool_bytes: heartbeat.spool_bytes,
            spool_events: heartbeat.spool_events,
            lost_total: heartbeat.lost_total,
            events_total: heartbeat.events_total,
            cpu_ms: heartbeat.cpu_ms,
            rss_bytes: heartbeat.rss_bytes,
            edge_hits: heartbeat.edge_hits,
            coverage: coverage(&heartbeat.coverage_json)?,
            content_version: fact("content_version", heartbeat.content_version)?,
            policy_version: heartbeat.policy_version,
            degraded: facts("degraded", heartbeat.degraded)?,
            evictions: heartbeat.evictions.map(Evictions::from_proto).unwrap_or_default(),
            indicator_candidates: heartbeat.indicator_candidates,
            indicator_blocked: heartbeat.indicator_blocked,
        })
    }
}

impl Evictions {
    const fn to_proto(self) -> proto::Evictions {
        proto::Evictions {
            processes: self.processes,
            hashes: self.hashes,
            storylines: self.storylines,
            detection_keys: self.detection_keys,
            detection_storylines: self.detection_storylines,
            spool: self.spool,
        }
    }

    const fn from_proto(evictions: proto::Evictions) -> Self {
        Self {
            processes: evictions.processes,
            hashes: evictions.hashes,
            storylines: evictions.storylines,
            detection_keys: evictions.detection_keys,
            detection_storylines: evictions.detection_storylines,
            spool: evictions.spool,
        }
    }
}

impl PlanUpdate {
    pub(crate) fn to_proto(&self) -> proto::PlanUpdate {
        proto::PlanUpdate {
            plan: self.plan.to_string(),
            revision: self.revision,
            state: self.update.state.name().to_owned(),
            time_ns: self.update.time.as_nanos(),
            detail: self.update.detail.clone(),
            outcome_json: self.outcome.as_ref().map(json).unwrap_or_default(),
        }
    }

    pub(crate) fn from_proto(update: proto::PlanUpdate) -> Result<Self, WireError> {
        bounded("detail", update.detail.len(), metsuke_respond::plan::TEXT_MAX)?;
        bounded("outcome", update.outcome_json.len(), PLAN_MAX)?;
        let outcome = if update.outcome_json.is_empty() {
            None
        } else {
            let outcome = serde_json::from_str(&update.outcome_json);
            Some(outcome.map_err(|_| WireError::Unreadable("outcome"))?)
        };
        Ok(Self {
            plan: update.plan.parse().map_err(|_| WireError::Unreadable("plan"))?,
            revision: update.revision,
            update: Update {
                time: Timestamp::from_nanos(update.time_ns),
                state: update.state.parse().map_err(|_| WireError::Unreadable("state"))?,
                detail: update.detail,
            },
            outcome,
        })
    }
}

impl Downstream {
    /// Signed for `endpoint`.
    ///
    /// # Errors
    /// When it is over a bound.
    pub(crate) fn to_proto(
        &self,
        key: &SigningKey,
        endpoint: EndpointId,
    ) -> Result<proto::downstream::Kind, WireError> {
        use proto::downstream::Kind;
        let signed = |purpose, payload: Vec<u8>| proto::Signed {
            signature: key.sign(purpose, endpoint, &payload).into(),
            payload: payload.into(),
        };
        Ok(match self {
            Self::Content(bundle) => Kind::Content(signed(Purpose::Content, pack(bundle)?)),
            Self::Policy(policy) => Kind::Policy(signed(Purpose::Policy, json(policy).into())),
            Self::Plan(plan) => {
                let payload = json(plan).into_bytes();
                bounded("plan", payload.len(), PLAN_MAX)?;
                Kind::Plan(signed(Purpose::Plan, payload))
            }
            Self::Cancel(plan) => {
                Kind::Cancel(signed(Purpose::Cancel, plan.to_string().into_bytes()))
            }
            Self::Indicators(part) => {
                Kind::Indicators(signed(Purpose::Indicators, part.to_bytes()))
            }
        })
    }

    /// Checks the signature, then reads.
    ///
    /// # Errors
    /// When it is not signed for this endpoint by this server, over a bound, or cannot be read.
    pub(crate) fn from_proto(
        kind: proto::downstream::Kind,
        key: &[u8],
        endpoint: EndpointId,
    ) -> Result<Option<Self>, WireError> {
        use proto::downstream::Kind;
        let (purpose, signed) = match kind {
            Kind::Content(signed) => (Purpose::Content, signed),
            Kind::Policy(signed) => (Purpose::Policy, signed),
            Kind::Plan(signed) => (Purpose::Plan, signed),
            Kind::Cancel(signed) => (Purpose::Cancel, signed),
            Kind::Indicators(signed) => (Purpose::Indicators, signed),
            Kind::Welcome(_)
            | Kind::Ack(_)
            | Kind::Refused(_)
            | Kind::PlanSeen(_)
            | Kind::InventorySeen(_)
            | Kind::ArtifactWanted(_)
            | Kind::ArtifactStored(_)
            | Kind::ArtifactRefused(_) => return Ok(None),
        };
        verify(key, purpose, endpoint, &signed.payload, &signed.signature)?;
        read(purpose, &signed.payload, endpoint).map(Some)
    }
}

pub(crate) fn read(
    purpose: Purpose,
    payload: &Bytes,
    endpoint: EndpointId,
) -> Result<Downstream, WireError> {
    fn parse<T: DeserializeOwned>(what: &'static str, payload: &[u8]) -> Result<T, WireError> {
        bounded(what, payload.len(), PLAN_MAX)?;
        serde_json::from_slice(payload).map_err(|_| WireError::Unreadable(what))
    }
    Ok(match purpose {
        Purpose::Content => Downstream::Content(unpack(payload)?),
        Purpose::Policy => Downstream::Policy(parse::<Policy>("policy", payload)?),
        Purpose::Plan => {
            let plan: Plan = parse("plan", payload)?;
            if plan.endpoint != endpoint {
                return Err(WireError::OtherEndpoint(plan.endpoint));
            }
            Downstream::Plan(plan)
        }
        Purpose::Cancel => {
            let id = std::str::from_utf8(payload).ok().and_then(|text| text.parse().ok());
            Downstream::Cancel(id.ok_or(WireError::Unreadable("plan"))?)
        }
        Purpose::Indicators => Downstream::Indicators(PackPart::read(payload)?),
        // It never travels by the link.
        Purpose::Uninstall => return Err(WireError::Unreadable("order")),
    })
}

/// Bytes before those of a part: pack, version, index, count.
const PART_HEAD: usize = 17;

impl PackPart {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PART_HEAD + self.bytes.len());
        bytes.push(match self.pack {
            PackKind::Decided => 0,
            PackKind::Filter => 1,
        });
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(&self.index.to_le_bytes());
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes.extend_from_slice(&self.bytes);
        bytes
    }

    fn read(payload: &Bytes) -> Result<Self, WireError> {
        let unreadable = || WireError::Unreadable("indicators");
        bounded("indicators", payload.len(), PART_HEAD + INDICATOR_PART_MAX)?;
        let head: &[u8; PART_HEAD] = payload.first_chunk().ok_or_else(unreadable)?;
        let number = |at: usize| {
            let part = head.get(at..at + 4).and_then(|part| part.try_into().ok());
            part.map_or(0, u32::from_le_bytes)
        };
        let (index, count) = (number(9), number(13));
        bounded("parts of indicators", count as usize, INDICATOR_PARTS_MAX as usize)?;
        if index >= count {
            return Err(unreadable());
        }
        let pack = match head[0] {
            0 => PackKind::Decided,
            1 => PackKind::Filter,
            _ => return Err(unreadable()),
        };
        let version = u64::from(number(1)) | u64::from(number(5)) << 32;
        Ok(Self { pack, version, index, count, bytes: payload.slice(PART_HEAD..) })
    }
}

fn pack(bundle: &Bundle) -> Result<Vec<u8>, WireError> {
    bounded("documents", bundle.documents.len(), BUNDLE_DOCUMENTS_MAX)?;
    let text = json(bundle);
    bounded("content", text.len(), BUNDLE_DECOMPRESSED_MAX)?;
    let packed = zstd::bulk::compress(text.as_bytes(), ZSTD_LEVEL)
        .map_err(|_| WireError::Unreadable("content"))?;
    bounded("content, compressed", packed.len(), BUNDLE_COMPRESSED_MAX)?;
    Ok(packed)
}

fn unpack(payload: &[u8]) -> Result<Bundle, WireError> {
    let unreadable = || WireError::Unreadable("content");
    bounded("content, compressed", payload.len(), BUNDLE_COMPRESSED_MAX)?;
    let size = zstd::zstd_safe::get_frame_content_size(payload).ok().flatten();
    let size = size.and_then(|size| usize::try_from(size).ok()).ok_or_else(unreadable)?;
    bounded("content", size, BUNDLE_DECOMPRESSED_MAX)?;
    let text = zstd::bulk::decompress(payload, size).map_err(|_| unreadable())?;
    let bundle: Bundle = serde_json::from_slice(&text).map_err(|_| unreadable())?;
    bounded("documents", bundle.documents.len(), BUNDLE_DOCUMENTS_MAX)?;
    Ok(bundle)
}

/// Reads `payload` as each kind of order; for the fuzz target.
pub(crate) fn read_any(payload: &Bytes) {
    let purposes =
        [Purpose::Content, Purpose::Policy, Purpose::Plan, Purpose::Cancel, Purpose::Indicators];
    for purpose in purposes {
        drop(read(purpose, payload, EndpointId::default()));
    }
}

/// A plan's id and revision as the server confirms them.
pub(crate) fn plan_seen(seen: &proto::PlanSeen) -> Option<(PlanId, u32)> {
    Some((seen.plan.parse().ok()?, seen.revision))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use metsuke_event::EndpointId;
    use metsuke_respond::Policy;

    use super::{Downstream, WireError};
    use crate::message::{Bundle, BundleDocument, Evictions, Heartbeat, PackKind, PackPart};
    use crate::proto::downstream::Kind;
    use crate::sign::SigningKey;

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate().expect("random")).expect("own")
    }

    #[test]
    fn content_and_policy_reach_the_sensor_unchanged_or_not_at_all() {
        let (server, endpoint) = (key(), EndpointId::from_u128(5));
        let document = BundleDocument { path: "filters/a.yml".to_owned(), text: "x".repeat(9_999) };
        let bundle = Bundle {
            version: "7".to_owned(),
            serial: 7,
            documents: Arc::new(vec![document.clone(); 50]),
            ..Bundle::default()
        };
        let bytes = vec![7; 300 << 10].into();
        let part = |index| PackPart::cut(PackKind::Filter, 9 << 40, &bytes, index);
        assert_eq!(part(2), None, "there are two");
        for message in [
            Downstream::Content(bundle),
            Downstream::Policy(Policy::default()),
            Downstream::Indicators(part(1).expect("the second")),
        ] {
            let kind = message.to_proto(&server, endpoint).expect("within bounds");
            let read = Downstream::from_proto(kind.clone(), server.public(), endpoint);
            assert_eq!(read.expect("signed"), Some(message));
            let foreign = Downstream::from_proto(kind, key().public(), endpoint);
            assert!(matches!(foreign, Err(WireError::Signature(_))));
        }
    }

    #[test]
    fn a_policy_for_another_endpoint_or_altered_is_refused() {
        let (server, mine, other) = (key(), EndpointId::from_u128(5), EndpointId::from_u128(6));
        let message = Downstream::Policy(Policy::default());
        let kind = message.to_proto(&server, other).expect("within bounds");
        assert!(Downstream::from_proto(kind, server.public(), mine).is_err());
        let Kind::Policy(mut signed) = message.to_proto(&server, mine).expect("within bounds")
        else {
            panic!("a policy");
        };
        signed.payload = String::from_utf8_lossy(&signed.payload).replace("detect", "block").into();
        assert!(Downstream::from_proto(Kind::Policy(signed), server.public(), mine).is_err());
    }

    #[test]
    fn a_heartbeat_arrives_as_it_was_sent() {
        let heartbeat = Heartbeat {
            lag_ms: 1,
            spool_bytes: 2,
            spool_events: 3,
            lost_total: 4,
            events_total: 5,
            cpu_ms: 6,
            rss_bytes: 7,
            edge_hits: 8,
            content_version: "9".to_owned(),
            policy_version: 10,
            degraded: vec!["eleven".to_owned()],
            evictions: Evictions {
                processes: 12,
                hashes: 13,
                storylines: 14,
                detection_keys: 15,
                detection_storylines: 16,
                spool: 17,
            },
            indicator_candidates: 18,
            indicator_blocked: 19,
            ..Heartbeat::default()
        };
        let arrived = Heartbeat::from_proto(heartbeat.to_proto()).expect("within bounds");
        assert_eq!(arrived, heartbeat);
    }

    #[test]
    fn texts_beyond_their_bound_are_refused_with_the_bound() {
        let heartbeat = Heartbeat { degraded: vec!["x".repeat(5_000)], ..Heartbeat::default() };
        let error = Heartbeat::from_proto(heartbeat.to_proto()).expect_err("too long").to_string();
        assert_eq!(error, "`degraded` has 5000 bytes or entries, at most 1024 are taken");
    }
}
