//! What somebody proved themselves with, so that it can be looked at again later.
//!
//! Invariant: it opens no door: it holds a hash, not a secret.

use metsuke_event::Timestamp;

use crate::session::SessionRecord;
use crate::{Catalog, Result, hashed};

/// A session or an API token that was good when it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Session(String),
    Token(String),
}

impl Proof {
    /// Somebody showed the cookie of this session.
    pub fn session(session: &SessionRecord) -> Self {
        Self(Kind::Session(session.hash.clone()))
    }

    /// Somebody showed this API token.
    pub fn token(secret: &str) -> Self {
        Self(Kind::Token(hashed(secret)))
    }
}

impl Catalog {
    /// Whether `proof` is still good at `now`: neither ended nor revoked. Looking prolongs nothing.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn still_good(&self, now: Timestamp, proof: &Proof) -> Result<bool> {
        Ok(match &proof.0 {
            Kind::Session(hash) => self.good_session(now, hash.clone()).await?.is_some(),
            Kind::Token(hash) => self.good_token(now, hash.clone()).await?.is_some(),
        })
    }
}
