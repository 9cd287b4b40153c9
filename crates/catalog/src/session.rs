//! Browser sessions and API tokens: random secrets, stored hashed.

use metsuke_event::Timestamp;
use sea_orm::{ActiveModelTrait, ColumnTrait, Condition, EntityTrait, QueryFilter, Set};

use crate::account::Account;
use crate::audit::{Deed, append};
use crate::schema::{api_token, session};
use crate::{Catalog, Result, database, hashed, secret};

const SECOND: i64 = 1_000_000_000;
/// A session ends when unused for this long.
const IDLE_NANOS: i64 = 30 * 60 * SECOND;
/// A session ends after this long in any case.
const ABSOLUTE_NANOS: i64 = 12 * 60 * 60 * SECOND;
/// The time of last use is written at most this often.
const TOUCH_NANOS: i64 = 60 * SECOND;
/// How API tokens begin, so that they are recognised where they should not be.
const TOKEN_PREFIX: &str = "mtk_";

/// Name of the API token that the server makes for whoever started it with `--bootstrap`; a person
/// cannot make one of that name.
pub const BOOTSTRAP_TOKEN: &str = "bootstrap";

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

/// A new secret with its end.
#[derive(Clone, Debug)]
pub struct Credential {
    /// The secret; shown once.
    pub secret: String,
    /// When it ends.
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
        let row = session::Entity::find_by_id(hashed(cookie)).one(&self.read).await;
        let Some(row) = row.map_err(database("read sessions"))? else {
            return Ok(None);
        };
        let idle_end = row.used.saturating_add(IDLE_NANOS);
        let end = row.created.saturating_add(ABSOLUTE_NANOS);
        if now.as_nanos() >= idle_end.min(end) {
            return Ok(None);
        }
        let Some(account) = self.account(&row.account).await? else {
            return Ok(None);
        };
        if now.as_nanos() - row.used > TOUCH_NANOS {
            let mut touched: session::ActiveModel = row.clone().into();
            touched.used = Set(now.as_nanos());
            touched.update(&self.write).await.map_err(database("prolong a session"))?;
        }
        let expires = now.plus_nanos(IDLE_NANOS).min(Timestamp::from_nanos(end));
        Ok(Some(SessionRecord { hash: row.hash, account, csrf: row.csrf, expires }))
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

    /// Makes an API token of `account` that is good for `ttl_nanos`.
    pub async fn create_api_token(
        &self,
        now: Timestamp,
        account: &Account,
        name: &str,
        ttl_nanos: i64,
    ) -> Result<Credential> {
        let token = format!("{TOKEN_PREFIX}{}", secret());
        let expires = now.plus_nanos(ttl_nanos);
        let tx = self.begin().await?;
        api_token::Entity::delete_many()
            .filter(api_token::Column::Expires.lt(now.as_nanos()))
            .exec(&tx)
            .await
            .map_err(database("forget ended tokens"))?;
        let row = api_token::ActiveModel {
            hash: Set(hashed(&token)),
            account: Set(account.name.clone()),
            name: Set(name.to_owned()),
            created: Set(now.as_nanos()),
            expires: Set(expires.as_nanos()),
        };
        api_token::Entity::insert(row)
            .exec_without_returning(&tx)
            .await
            .map_err(database("make a token"))?;
        let deed = Deed { actor: &account.name, action: "token.create", target: name, detail: "" };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        Ok(Credential { secret: token, expires })
    }

    /// The account behind an API token that is good at `now`.
    pub async fn api_token(
        &self,
        now: Timestamp,
        token: &str,
    ) -> Result<Option<(Account, Timestamp)>> {
        let row = api_token::Entity::find_by_id(hashed(token)).one(&self.read).await;
        let row = row.map_err(database("read tokens"))?;
        let Some(row) = row.filter(|row| row.expires > now.as_nanos()) else {
            return Ok(None);
        };
        let account = self.account(&row.account).await?;
        Ok(account.map(|account| (account, Timestamp::from_nanos(row.expires))))
    }
}
