//! Enrolment tokens: one endpoint each, once, until they expire.

use metsuke_event::{EndpointId, Timestamp};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, Select, Set};

use crate::audit::{Deed, append};
use crate::endpoint::{EndpointRecord, insert};
use crate::schema::enrolment_token::{ActiveModel, Column, Entity, Model};
use crate::token::{Credential, check_id, id_of, page_of};
use crate::{Catalog, CatalogError, Change, Result, database, hashed, secret};

/// Why a token enrols nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefused {
    /// No such token was ever made.
    #[error("the enrolment token is not known; make one with `metsuke-server token`")]
    Unknown,
    /// It enrolled another endpoint already.
    #[error("the enrolment token was used already; each is good for one endpoint")]
    Used,
    /// Its time ran out.
    #[error("the enrolment token has expired; make one with `metsuke-server token`")]
    Expired,
}

/// What is known of an enrolment token that was not yet used; never the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentRecord {
    /// Its identity.
    pub id: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

impl From<Model> for EnrolmentRecord {
    fn from(row: Model) -> Self {
        Self {
            id: id_of(&row.hash),
            created: Timestamp::from_nanos(row.created),
            expires: Timestamp::from_nanos(row.expires),
        }
    }
}

/// Those that still enrol somebody.
fn open(now: Timestamp) -> Select<Entity> {
    let unused = Entity::find().filter(Column::Used.is_null());
    unused.filter(Column::Expires.gt(now.as_nanos()))
}

impl Catalog {
    /// The tokens that still enrol somebody at `now`; newest first, one page: at most so many,
    /// behind the one made then with that identity.
    pub async fn enrolment_tokens(
        &self,
        now: Timestamp,
        page: (Option<&(Timestamp, String)>, u64),
    ) -> Result<Vec<EnrolmentRecord>> {
        let tokens = page_of(open(now), (Column::Created, Column::Hash), page);
        let rows = tokens.all(&self.read).await.map_err(database("read enrolment tokens"))?;
        Ok(rows.into_iter().map(EnrolmentRecord::from).collect())
    }

    /// Ends the enrolment token `id` before it was used.
    ///
    /// # Errors
    /// [`CatalogError::NotFound`] when there is none that still enrols somebody.
    pub async fn revoke_enrolment_token(
        &self,
        now: Timestamp,
        actor: &str,
        id: &str,
    ) -> Result<()> {
        const WHAT: &str = "enrolment token";
        check_id(id, WHAT)?;
        let tx = self.begin().await?;
        let row = open(now).filter(Column::Hash.starts_with(id)).one(&tx).await;
        let row = row.map_err(database("read enrolment tokens"))?;
        let row = row.ok_or(CatalogError::NotFound(WHAT))?;
        let gone = Entity::delete_by_id(&row.hash).exec(&tx).await;
        gone.map_err(database("revoke an enrolment token"))?;
        let deed = Deed { actor, action: "enrolment_token.revoke", target: id, detail: "" };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))
    }

    /// Makes a token that is good for one endpoint, for `ttl_nanos`.
    pub async fn create_enrolment_token(
        &self,
        now: Timestamp,
        actor: &str,
        ttl_nanos: i64,
    ) -> Result<Credential> {
        let token = secret();
        let expires = now.plus_nanos(ttl_nanos);
        let tx = self.begin().await?;
        let hash = hashed(&token);
        let id = id_of(&hash);
        let row = ActiveModel {
            hash: Set(hash),
            created: Set(now.as_nanos()),
            expires: Set(expires.as_nanos()),
            used: Set(None),
            endpoint: Set(None),
        };
        Entity::insert(row)
            .exec_without_returning(&tx)
            .await
            .map_err(database("make an enrolment token"))?;
        let detail = format!("until {expires}");
        let deed = Deed { actor, action: "enrolment_token.create", target: &id, detail: &detail };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        Ok(Credential { id, secret: token, expires })
    }

    /// Spends `token` on a new endpoint called `host`; both or neither.
    pub async fn enrol(
        &self,
        now: Timestamp,
        token: &str,
        host: &str,
    ) -> Result<std::result::Result<EndpointId, TokenRefused>> {
        let tx = self.begin().await?;
        let row = Entity::find_by_id(hashed(token)).one(&tx).await;
        let Some(row) = row.map_err(database("read enrolment tokens"))? else {
            return Ok(Err(TokenRefused::Unknown));
        };
        if row.used.is_some() {
            return Ok(Err(TokenRefused::Used));
        }
        if row.expires <= now.as_nanos() {
            return Ok(Err(TokenRefused::Expired));
        }
        let endpoint = EndpointId::from_u128(rand::random());
        let mut row: ActiveModel = row.into();
        row.used = Set(Some(now.as_nanos()));
        row.endpoint = Set(Some(endpoint.to_string()));
        row.update(&tx).await.map_err(database("spend an enrolment token"))?;
        insert(&tx, &EndpointRecord::new(endpoint, host, now)).await?;
        let id = endpoint.to_string();
        let deed = Deed { actor: "server", action: "endpoint.enrol", target: &id, detail: host };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        self.tell(Change::Endpoint(endpoint));
        Ok(Ok(endpoint))
    }
}
