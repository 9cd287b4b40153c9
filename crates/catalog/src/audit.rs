//! The audit log: append-only, each entry's hash covers the one before it.

use metsuke_event::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set,
};
use sha2::{Digest, Sha256};

use crate::schema::audit::{ActiveModel, Column, Entity, Model};
use crate::{Catalog, CatalogError, Result, database};

/// Longest detail kept, in bytes; the rest is cut.
const MAX_DETAIL_BYTES: usize = 2_048;
/// Entries read at once when the chain is walked.
const WALK_CHUNK: u64 = 1_000;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Position in the chain, from 1, without gaps.
    pub seq: u64,
    /// When.
    pub time: Timestamp,
    /// Who.
    pub actor: String,
    /// What, as a stable word.
    pub action: String,
    /// To what.
    pub target: String,
    /// More for people; no secrets.
    pub detail: String,
    /// SHA-256 over the hash before and every field, in hexadecimal.
    pub hash: String,
}

/// The chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log was changed at entry {seq}")]
pub struct ChainBroken {
    /// The first entry that does not fit.
    pub seq: u64,
}

impl From<Model> for AuditEntry {
    fn from(row: Model) -> Self {
        Self {
            seq: row.seq.cast_unsigned(),
            time: Timestamp::from_nanos(row.time),
            actor: row.actor,
            action: row.action,
            target: row.target,
            detail: row.detail,
            hash: row.hash,
        }
    }
}

/// Every part is preceded by its length, so no two entries share one form.
fn chain_hash(before: &str, row: &Model) -> String {
    let mut hash = Sha256::new();
    let (seq, time) = (row.seq.to_string(), row.time.to_string());
    for part in [before, &seq, &time, &row.actor, &row.action, &row.target, &row.detail] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_DETAIL_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// What an entry says, before it has a place in the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deed<'a> {
    pub(crate) actor: &'a str,
    pub(crate) action: &'a str,
    pub(crate) target: &'a str,
    pub(crate) detail: &'a str,
}

/// Appends within the transaction of what is logged, so neither stands without the other.
pub(crate) async fn append(
    tx: &impl ConnectionTrait,
    now: Timestamp,
    deed: Deed<'_>,
) -> Result<()> {
    let last = Entity::find()
        .order_by_desc(Column::Seq)
        .one(tx)
        .await
        .map_err(database("read the audit log"))?;
    let (seq, before) = last.map_or((0, String::new()), |row| (row.seq, row.hash));
    let mut row = Model {
        seq: seq + 1,
        time: now.as_nanos(),
        actor: deed.actor.to_owned(),
        action: deed.action.to_owned(),
        target: deed.target.to_owned(),
        detail: cut(deed.detail),
        hash: String::new(),
    };
    row.hash = chain_hash(&before, &row);
    let row = ActiveModel {
        seq: Set(row.seq),
        time: Set(row.time),
        actor: Set(row.actor),
        action: Set(row.action),
        target: Set(row.target),
        detail: Set(row.detail),
        hash: Set(row.hash),
    };
    Entity::insert(row)
        .exec_without_returning(tx)
        .await
        .map_err(database("append to the audit log"))?;
    Ok(())
}

impl Catalog {
    /// Logs that `actor` did `action` to `target`. Details hold no secrets.
    pub async fn audit(
        &self,
        now: Timestamp,
        actor: &str,
        action: &str,
        (target, detail): (&str, &str),
    ) -> Result<()> {
        let tx = self.begin().await?;
        append(&tx, now, Deed { actor, action, target, detail }).await?;
        tx.commit().await.map_err(database("commit"))
    }

    /// At most `limit` entries before position `before` (exclusive), newest first.
    pub async fn audit_entries(&self, before: Option<u64>, limit: u64) -> Result<Vec<AuditEntry>> {
        let mut query = Entity::find().order_by_desc(Column::Seq).limit(limit);
        if let Some(before) = before {
            query = query.filter(Column::Seq.lt(before.cast_signed()));
        }
        let rows = query.all(&self.read).await.map_err(database("read the audit log"))?;
        Ok(rows.into_iter().map(AuditEntry::from).collect())
    }

    /// Walks the whole chain. The first part is how many entries were walked.
    ///
    /// # Errors
    /// [`CatalogError::Database`] only; a broken chain is a value.
    pub async fn verify_audit(&self) -> Result<std::result::Result<u64, ChainBroken>> {
        let mut before = String::new();
        let mut seq = 0_i64;
        loop {
            let rows = Entity::find()
                .filter(Column::Seq.gt(seq))
                .order_by_asc(Column::Seq)
                .limit(WALK_CHUNK)
                .all(&self.read)
                .await
                .map_err(database("read the audit log"))?;
            if rows.is_empty() {
                return Ok(Ok(seq.cast_unsigned()));
            }
            for row in rows {
                if row.seq != seq + 1 || row.hash != chain_hash(&before, &row) {
                    return Ok(Err(ChainBroken { seq: (seq + 1).cast_unsigned() }));
                }
                seq = row.seq;
                before = row.hash;
            }
        }
    }
}

/// Kept for `?` in callers that treat a broken chain as an error.
impl From<ChainBroken> for CatalogError {
    fn from(broken: ChainBroken) -> Self {
        Self::Corrupt { what: "audit log", detail: broken.to_string() }
    }
}
