//! A cursor as text: what a client carries from page to page.

use std::fmt;
use std::str::FromStr;

use metsuke_event::{EventId, TenantId, Timestamp};

use crate::error::LakeError;
use crate::request::Cursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = &self.id;
        write!(f, "{}.{}.{}.{}.{}", self.time.as_nanos(), id.tenant.0, id.endpoint, id.boot, id.seq)
    }
}

impl FromStr for Cursor {
    type Err = LakeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('.').collect();
        let [time, tenant, endpoint, boot, seq] = parts[..] else {
            return Err(LakeError::Cursor);
        };
        let time = time.parse().map(Timestamp::from_nanos).map_err(|_| LakeError::Cursor)?;
        let tenant = tenant.parse().map(TenantId).map_err(|_| LakeError::Cursor)?;
        let endpoint = endpoint.parse().map_err(|_| LakeError::Cursor)?;
        let boot = boot.parse().map_err(|_| LakeError::Cursor)?;
        let seq = seq.parse().map_err(|_| LakeError::Cursor)?;
        Ok(Self { time, id: EventId { tenant, endpoint, boot, seq } })
    }
}
