//! What the fuzz target calls: every reader of the other side's bytes. Not part of the interface.

use bytes::Bytes;
use metsuke_event::EndpointId;
use prost::Message;

use crate::artifact::ArtifactPart;
use crate::message::{Downstream, Heartbeat, Hello, PlanUpdate};
use crate::proto::upstream::Kind as Up;
use crate::{codec, inventory, proto, sign, wire};

/// Bytes as a message of a sensor.
pub fn upstream(bytes: &[u8]) {
    let Ok(message) = proto::Upstream::decode(bytes) else { return };
    match message.kind {
        Some(Up::Hello(hello)) => drop(Hello::from_proto(hello)),
        Some(Up::Batch(batch)) => drop(codec::decode(&batch)),
        Some(Up::Heartbeat(heartbeat)) => drop(Heartbeat::from_proto(heartbeat)),
        Some(Up::PlanUpdate(update)) => drop(PlanUpdate::from_proto(update)),
        Some(Up::ArtifactOffer(offer)) => drop(ArtifactPart::from_offer(offer)),
        Some(Up::ArtifactChunk(chunk)) => drop(ArtifactPart::from_chunk(chunk)),
        Some(Up::Inventory(message)) => {
            // What can be read must survive being written and read again.
            if let Ok(delta) = inventory::unpack(&message)
                && let Ok(again) = inventory::pack(&delta)
            {
                drop(inventory::unpack(&again));
            }
        }
        None => {}
    }
    if let Ok(request) = proto::EnrolRequest::decode(bytes) {
        drop(wire::enrol_facts(&request));
    }
}

/// Bytes as a message of a server, first as it is (the signature will not hold), then as what
/// follows a signature that held.
pub fn downstream(bytes: &[u8]) {
    let key = [0; sign::PUBLIC_KEY_BYTES];
    if let Some(kind) = proto::Downstream::decode(bytes).ok().and_then(|message| message.kind) {
        drop(Downstream::from_proto(kind, &key, EndpointId::default()));
    }
    wire::read_any(&Bytes::copy_from_slice(bytes));
}

/// Bytes as what a batch's frame holds once decompressed. What can be read must survive being
/// written and read again.
///
/// # Panics
/// When it does not: that is a bug.
pub fn activities(bytes: &[u8]) {
    let Ok(payload) = zstd::bulk::compress(bytes, 1) else { return };
    let Ok(message) = proto::Activities::decode(bytes) else {
        let batch = proto::Batch {
            boot: Bytes::from_static(&[0; 16]),
            activities_zstd: payload.into(),
            ..Default::default()
        };
        assert!(codec::decode(&batch).is_err(), "what is no message is refused");
        return;
    };
    let sequence = || message.activities.iter().map(|activity| activity.seq);
    let batch = proto::Batch {
        boot: Bytes::from_static(&[0; 16]),
        first_seq: sequence().next().unwrap_or(0),
        last_seq: sequence().next_back().unwrap_or(0),
        count: u32::try_from(message.activities.len()).unwrap_or(u32::MAX),
        activities_zstd: payload.into(),
    };
    let Ok((boot, events)) = codec::decode(&batch) else { return };
    assert!(events.iter().all(|event| event.id.boot == boot));
    let again = codec::encode(&events).map(|batch| codec::decode(&batch.to_proto()));
    if let Ok(again) = again {
        let again = again.map(|(_, events)| events);
        assert_eq!(again.ok().as_ref(), Some(&events));
    }
}
