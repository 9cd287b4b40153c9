//! Enrolment tokens: one endpoint each, once, until they expire.

use metsuke_event::{EndpointId, Timestamp};
use sea_orm::{ActiveModelTrait, EntityTrait, Set};

use crate::audit::{Deed, append};
use crate::endpoint::{EndpointRecord, insert};
use crate::schema::enrolment_token::{ActiveModel, Entity};
use crate::session::Credential;
use crate::{Catalog, Change, Result, database, hashed, secret};

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

impl Catalog {
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
        let row = ActiveModel {
            hash: Set(hashed(&token)),
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
        let deed = Deed { actor, action: "enrolment_token.create", target: "", detail: &detail };
        append(&tx, now, deed).await?;
        tx.commit().await.map_err(database("commit"))?;
        Ok(Credential { secret: token, expires })
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
