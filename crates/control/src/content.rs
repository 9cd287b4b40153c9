//! Content and policy as they are pushed: what is current, under which serial.

use metsuke_catalog::{Catalog, CatalogError};
use metsuke_respond::Policy;
use sha2::{Digest, Sha256};

const CONTENT_SERIAL: &str = "content_serial";
const CONTENT_HASH: &str = "content_hash";
const POLICY: &str = "policy";
/// Hexadecimal digits of the content's hash that stand in its version.
const VERSION_DIGITS: usize = 12;

/// Content or policy cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The catalog failed.
    #[error("content and policy cannot be made ready")]
    Catalog(#[from] CatalogError),
    /// The stored policy is not one.
    #[error("the stored policy cannot be read; restore the catalog from a backup")]
    Policy(#[source] serde_json::Error),
    /// Compiling broke down.
    #[error("compiling the content broke down; please report it, with the server's log")]
    Broken(#[from] tokio::task::JoinError),
}

/// Serial and version of the content that `parts` say. The serial grows when they differ from what
/// this server pushed last, also across restarts.
pub(crate) async fn numbered<'a>(
    catalog: &Catalog,
    parts: impl IntoIterator<Item = &'a str>,
) -> Result<(u64, String), CatalogError> {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hex::encode(hash.finalize());
    let serial = catalog.setting(CONTENT_SERIAL).await?;
    let mut serial: u64 = serial.and_then(|text| text.parse().ok()).unwrap_or(0);
    if catalog.setting(CONTENT_HASH).await?.as_deref() != Some(&hash) {
        serial += 1;
        // The serial first: a crash between the two makes it grow once more, never less.
        catalog.set_setting(CONTENT_SERIAL, &serial.to_string()).await?;
        catalog.set_setting(CONTENT_HASH, &hash).await?;
    }
    Ok((serial, format!("{serial}-{}", &hash[..VERSION_DIGITS])))
}

/// The policy in force; the first time the default one, as version 1.
pub async fn current_policy(catalog: &Catalog) -> Result<Policy, ContentError> {
    if let Some(text) = catalog.setting(POLICY).await? {
        return serde_json::from_str(&text).map_err(ContentError::Policy);
    }
    let policy = Policy { version: 1, ..Policy::default() };
    let text = serde_json::to_string(&policy).map_err(ContentError::Policy)?;
    catalog.set_setting(POLICY, &text).await?;
    Ok(policy)
}
