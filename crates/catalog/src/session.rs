//! Browser sessions: random secrets, stored hashed.

use metsuke_event::Timestamp;
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, EntityTrait, QueryFilter, Set};

use crate::account::Account;
use crate::audit::{Deed, append};
use crate::schema::session;
use crate::{Catalog, Result, database, hashed, secret};

const SECOND: i64 = 1_000_000_000;
/// A session ends when unused for this long.
const IDLE_NANOS: i64 = 30 * 60 * SECOND;
/// A session ends after this long in any case.
const ABSOLUTE_NANOS: i64 = 12 * 60 * 60 * SECOND;
/// The time of last use is written at most this often.
const TOUCH_NANOS: i64 = 60 * SECOND;

/// A new session.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The secret for the cookie.
    pub cookie: String,
    /// The session itself.
    pub record: SessionRecord,
}

/// A session that is good.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// What is stored of the secret; names the session.
    pub hash: String,
    /// Who.
    pub account: Account,
    /// The token requests that change something must carry.
    pub csrf: String,
    /// When it ends without further use.
    pub expires: Timestamp,
}

impl Catalog {
    /// Starts a session of `account`, and forgets sessions that ended.
    pub async fn create_session(&self, now: Timestamp, account: &Account) -> Result<NewSession> {
        let (cookie, csrf) = (secret(), secret());
        let hash = hashed(&cookie);
        let tx = self.begin().await?;
        let ended = Condition::any()
            .add(session::Column::Used.lt(now.plus_nanos(-IDLE_NANOS).as_nanos()))
            .add(session::Column::Created.lt(now.plus_nanos(-ABSOLUTE_NANOS).as_nanos()));
        session::Entity::delete_many()
            .filter(ended)
            .exec(&tx)
            .await
            .map_err(database("forget ended sessions"))?;
        let row = session::ActiveModel {
            hash: Set(hash.clone()),
            account: Set(account.name.clone()),
            csrf: Set(csrf.clone()),
            created: Set(now.as_nanos()),
            used: Set(now.as_nanos()),
        };
        session::Entity::insert(row)
            .exec_without_returning(&tx)
            .await
            .map_err(database("start a session"))?;
        let deed = Deed {
            actor: &account.name,
            action: "session.create",
            target: &account.name,
            detail: "",
        };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        let record = SessionRecord {
            hash,
            account: account.clone(),
            csrf,
            expires: now.plus_nanos(IDLE_NANOS),
        };
        Ok(NewSession { cookie, record })
    }

    /// The session whose cookie is `cookie`, if it is good at `now`; using it prolongs it.
    pub async fn session(&self, now: Timestamp, cookie: &str) -> Result<Option<SessionRecord>> {
        let Some(row) = self.good_session(now, hashed(cookie)).await? else {
            return Ok(None);
        };
        let Some(account) = self.account(&row.account).await? else {
            return Ok(None);
        };
        if now.as_nanos() - row.used > TOUCH_NANOS {
            let mut touched: session::ActiveModel = row.clone().into();
            touched.used = Set(now.as_nanos());
            // A session that cannot be prolonged is good all the same: with a full disk people
            // must be able to see that it is full.
            if let Err(error) = touched.update(&self.write).await {
                tracing::warn!(%error, "a session cannot be prolonged");
            }
        }
        let end = Timestamp::from_nanos(row.created.saturating_add(ABSOLUTE_NANOS));
        let expires = now.plus_nanos(IDLE_NANOS).min(end);
        Ok(Some(SessionRecord { hash: row.hash, account, csrf: row.csrf, expires }))
    }

    /// The session with this hash, if it is good at `now`; looking does not prolong it.
    pub(crate) async fn good_session(
        &self,
        now: Timestamp,
        hash: String,
    ) -> Result<Option<session::Model>> {
        let row = session::Entity::find_by_id(hash).one(&self.read).await;
        let row = row.map_err(database("read sessions"))?;
        Ok(row.filter(|row| {
            let idle_end = row.used.saturating_add(IDLE_NANOS);
            let end = row.created.saturating_add(ABSOLUTE_NANOS);
            now.as_nanos() < idle_end.min(end)
        }))
    }

    /// Ends a session.
    pub async fn end_session(&self, now: Timestamp, session: &SessionRecord) -> Result<()> {
        let tx = self.begin().await?;
        session::Entity::delete_by_id(&session.hash)
            .exec(&tx)
            .await
            .map_err(database("end a session"))?;
        let name = &session.account.name;
        let deed = Deed { actor: name, action: "session.end", target: name, detail: "" };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::*;
    use crate::{PasswordKind, Role};

    #[tokio::test]
    async fn a_full_disk_is_told_apart_and_ends_no_session() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).await.unwrap();
        let at = |second: i64| Timestamp::from_millis(1_790_000_000_000 + second * 1_000);
        let password = ("correct horse battery".to_owned(), PasswordKind::Own);
        let who = ("ann", Role::Analyst);
        let account = catalog.create_account(at(0), "server", who, password).await.unwrap();
        let session = catalog.create_session(at(0), &account).await.unwrap();
        // The file may not grow any more, as on a full disk.
        catalog.write.execute_unprepared("PRAGMA max_page_count = 1").await.unwrap();
        let mut second = 0;
        let refused = loop {
            second += 1;
            assert!(second < 10_000, "the file still grows");
            if let Err(error) = catalog.create_session(at(second % 60), &account).await {
                break error;
            }
        };
        assert!(refused.is_disk_full(), "{refused:?}");
        // No write at all succeeds, and the session is still good, later than it is touched.
        catalog.write.execute_unprepared("PRAGMA query_only = ON").await.unwrap();
        let found = catalog.session(at(600), &session.cookie).await.unwrap();
        assert_eq!(found.map(|found| found.account.name), Some("ann".to_owned()));
    }
}
