//! API tokens: random secrets, stored hashed, named by a part of the hash.

use metsuke_event::Timestamp;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect, Select, Set,
};

use crate::account::Account;
use crate::audit::{Deed, append};
use crate::schema::api_token::{ActiveModel, Column, Entity, Model};
use crate::{Catalog, CatalogError, Result, behind, database, hashed, secret};

/// How API tokens begin, so that they are recognised where they should not be.
const TOKEN_PREFIX: &str = "mtk_";
/// Tokens an account may have at once: one per login and month of a busy script is far below.
const MAX_TOKENS: u64 = 1_000;
/// Characters of a token's identity: half of the hash names it, and opens nothing.
const ID_CHARS: usize = 32;

/// Name of the API token that the server makes for whoever started it with `--bootstrap`; a person
/// cannot make one of that name.
pub const BOOTSTRAP_TOKEN: &str = "bootstrap";

/// A new secret with its end.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its identity, by which it is listed and revoked.
    pub id: String,
    /// The secret; shown once.
    pub secret: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// What is known of an API token; never the secret, nor anything that opens a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its identity.
    pub id: String,
    /// The account it speaks for.
    pub account: String,
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

/// The identity of the token with this hash.
pub(crate) fn id_of(hash: &str) -> String {
    hash.chars().take(ID_CHARS).collect()
}

/// One page of tokens by time, newest first, then by identity: at most `limit`, behind the one made
/// at `after` with that identity. A hash begins with its identity, so that the end of all hashes that
/// begin so is where the list goes on.
pub(crate) fn page_of<E: EntityTrait>(
    mut tokens: Select<E>,
    (created, hash): (E::Column, E::Column),
    (after, limit): (Option<&(Timestamp, String)>, u64),
) -> Select<E> {
    const BEHIND_EVERY_DIGIT: char = 'g';
    if let Some((at, id)) = after {
        let last = format!("{id}{BEHIND_EVERY_DIGIT}");
        tokens = tokens.filter(behind(&[(created, at.as_nanos())], (hash, &last)));
    }
    tokens.order_by_desc(created).order_by_asc(hash).limit(limit)
}

/// Checks that `id` can be a token's identity, so that it can stand in a pattern.
///
/// # Errors
/// [`CatalogError::NotFound`] otherwise.
pub(crate) fn check_id(id: &str, what: &'static str) -> Result<()> {
    let good = id.len() == ID_CHARS && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if good { Ok(()) } else { Err(CatalogError::NotFound(what)) }
}

impl From<Model> for TokenRecord {
    fn from(row: Model) -> Self {
        Self {
            id: id_of(&row.hash),
            account: row.account,
            name: row.name,
            created: Timestamp::from_nanos(row.created),
            expires: Timestamp::from_nanos(row.expires),
        }
    }
}

fn good(now: Timestamp, account: Option<&str>) -> Select<Entity> {
    let query = Entity::find().filter(Column::Expires.gt(now.as_nanos()));
    match account {
        Some(account) => query.filter(Column::Account.eq(account)),
        None => query,
    }
}

async fn forget_ended(tx: &impl ConnectionTrait, now: Timestamp) -> Result<()> {
    let ended = Entity::delete_many().filter(Column::Expires.lt(now.as_nanos()));
    ended.exec(tx).await.map_err(database("forget ended tokens"))?;
    Ok(())
}

/// Ends the server's own tokens; returns how many.
async fn forget_bootstrap(tx: &impl ConnectionTrait) -> Result<u64> {
    let own = Entity::delete_many().filter(Column::Name.eq(BOOTSTRAP_TOKEN));
    let gone = own.exec(tx).await.map_err(database("end the server's own tokens"))?;
    Ok(gone.rows_affected)
}

impl Catalog {
    /// Makes an API token of `account` that is good for `ttl_nanos`. One called [`BOOTSTRAP_TOKEN`]
    /// takes the place of all so called: a server that is started often has one, the last.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`] when the account has as many as it may.
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
        forget_ended(&tx, now).await?;
        let replaced = if name == BOOTSTRAP_TOKEN { forget_bootstrap(&tx).await? } else { 0 };
        let held = good(now, Some(&account.name)).count(&tx).await;
        if held.map_err(database("count tokens"))? >= MAX_TOKENS {
            return Err(CatalogError::Conflict(format!(
                "the account has {MAX_TOKENS} tokens, the most it may; revoke some first"
            )));
        }
        let hash = hashed(&token);
        let id = id_of(&hash);
        let row = ActiveModel {
            hash: Set(hash),
            account: Set(account.name.clone()),
            name: Set(name.to_owned()),
            created: Set(now.as_nanos()),
            expires: Set(expires.as_nanos()),
        };
        Entity::insert(row).exec_without_returning(&tx).await.map_err(database("make a token"))?;
        let detail = match replaced {
            0 => format!("id {id}"),
            count => format!("id {id}, in place of {count} so called"),
        };
        let deed =
            Deed { actor: &account.name, action: "token.create", target: name, detail: &detail };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        Ok(Credential { id, secret: token, expires })
    }

    /// The account behind an API token that is good at `now`.
    pub async fn api_token(
        &self,
        now: Timestamp,
        token: &str,
    ) -> Result<Option<(Account, Timestamp)>> {
        let Some(row) = self.good_token(now, hashed(token)).await? else {
            return Ok(None);
        };
        let account = self.account(&row.account).await?;
        Ok(account.map(|account| (account, Timestamp::from_nanos(row.expires))))
    }

    /// The token with this hash, if it is good at `now`.
    pub(crate) async fn good_token(&self, now: Timestamp, hash: String) -> Result<Option<Model>> {
        let row = Entity::find_by_id(hash).one(&self.read).await;
        let row = row.map_err(database("read tokens"))?;
        Ok(row.filter(|row| row.expires > now.as_nanos()))
    }

    /// The API tokens of `account` that are good at `now`, or everybody's; newest first, one
    /// page: at most so many, behind the one made then with that identity.
    pub async fn api_tokens(
        &self,
        now: Timestamp,
        account: Option<&str>,
        page: (Option<&(Timestamp, String)>, u64),
    ) -> Result<Vec<TokenRecord>> {
        let tokens = page_of(good(now, account), (Column::Created, Column::Hash), page);
        let rows = tokens.all(&self.read).await.map_err(database("read tokens"))?;
        Ok(rows.into_iter().map(TokenRecord::from).collect())
    }

    /// Ends the API token `id` at once, if it is one of `account`'s (`None`: anybody's).
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is none.
    pub async fn revoke_api_token(
        &self,
        now: Timestamp,
        actor: &str,
        id: &str,
        account: Option<&str>,
    ) -> Result<()> {
        check_id(id, "token")?;
        let tx = self.begin().await?;
        let row = good(now, account).filter(Column::Hash.starts_with(id)).one(&tx).await;
        let row = row.map_err(database("read tokens"))?.ok_or(CatalogError::NotFound("token"))?;
        let gone = Entity::delete_by_id(&row.hash).exec(&tx).await;
        gone.map_err(database("revoke a token"))?;
        let detail = format!("of {}, id {id}", row.account);
        let deed = Deed { actor, action: "token.revoke", target: &row.name, detail: &detail };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))
    }
}
