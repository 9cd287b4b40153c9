//! The part of a checkpoint that tells what is common in a fleet.

use std::collections::HashMap;

use metsuke_event::{EndpointId, TenantId};

use super::{Names, Restored, read_time, write_time};
use crate::bounds;
use crate::codec::{Damaged, Reader, Writer};
use crate::fleet::{Fleet, Span};

pub(super) fn write(out: &mut Writer, fleet: &Fleet) {
    let mut hosts: Vec<_> = fleet.hosts.iter().collect();
    hosts.sort_unstable();
    out.count(hosts.len());
    for ((tenant, endpoint), last) in hosts {
        out.number(u128::from(tenant.0));
        out.number(endpoint.as_u128());
        write_time(out, *last);
    }
    let mut shown: Vec<_> = fleet.shown.iter().collect();
    shown.sort_by_key(|(key, _)| *key);
    out.count(shown.len());
    for ((tenant, detection), hosts) in shown {
        out.number(u128::from(tenant.0));
        out.count(*detection);
        let mut hosts: Vec<_> = hosts.iter().collect();
        hosts.sort_by_key(|(endpoint, _)| **endpoint);
        out.count(hosts.len());
        for (endpoint, span) in hosts {
            out.number(endpoint.as_u128());
            write_time(out, span.first);
            write_time(out, span.last);
        }
    }
}

pub(super) fn read(
    input: &mut Reader<'_>,
    names: &Names<'_>,
    restored: &mut Restored,
) -> Result<Fleet, Damaged> {
    let mut fleet = Fleet::default();
    for _ in 0..input.count(bounds::FLEET_HOSTS)? {
        let key = (TenantId(input.number()?), EndpointId::from_u128(input.number()?));
        fleet.hosts.insert(key, read_time(input)?);
    }
    for _ in 0..input.count(bounds::FLEET_SHOWN)? {
        let tenant = TenantId(input.number()?);
        let detection = *names.detections.get(input.number::<usize>()?).ok_or(Damaged)?;
        let mut hosts = HashMap::new();
        for _ in 0..input.count(bounds::FLEET_EACH)? {
            let endpoint = EndpointId::from_u128(input.number()?);
            hosts.insert(endpoint, Span { first: read_time(input)?, last: read_time(input)? });
        }
        let count = hosts.len();
        let Some(detection) = detection else {
            restored.dropped += count as u64;
            continue;
        };
        restored.taken += count as u64;
        fleet.pairs += count;
        fleet.shown.insert((tenant, detection), hosts);
    }
    if fleet.pairs > bounds::FLEET_SHOWN { Err(Damaged) } else { Ok(fleet) }
}
