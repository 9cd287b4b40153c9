//! A sensor's identity on disk: who it is, and the one server it obeys.
//!
//! Invariant: the key never leaves the host; the file is readable by its owner only.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use metsuke_event::EndpointId;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::tls::{self, TlsError};

const FILE: &str = "identity.json";
/// Largest identity file read, in bytes; a real one has about 3,000.
const FILE_MAX: u64 = 64 << 10;

/// An identity that cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is none.
    #[error("{0} does not exist: this sensor is not enrolled; run `metsuke-sensor enrol` first")]
    Missing(PathBuf),
    /// It cannot be read or written.
    #[error("cannot read or write {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It holds something else.
    #[error("{0} is damaged; remove it and enrol this sensor again with a new token")]
    Damaged(PathBuf),
}

/// Who a sensor is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The endpoint's id.
    pub endpoint: EndpointId,
    /// The server's address, `HOST:PORT`.
    pub server: String,
    #[serde(with = "hex::serde")]
    pub(crate) certificate: Vec<u8>,
    #[serde(with = "hex::serde")]
    pub(crate) key: Vec<u8>,
    #[serde(with = "hex::serde")]
    pub(crate) authority: Vec<u8>,
    #[serde(with = "hex::serde")]
    pub(crate) signing_key: Vec<u8>,
}

impl std::fmt::Debug for Identity {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("endpoint", &self.endpoint)
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads the identity in `dir`.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn load(dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(FILE);
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => IdentityError::Missing(path.clone()),
            _ => IdentityError::File { path: path.clone(), source },
        };
        if fs::metadata(&path).map_err(failed)?.len() > FILE_MAX {
            return Err(IdentityError::Damaged(path));
        }
        let text = fs::read(&path).map_err(failed)?;
        serde_json::from_slice(&text).map_err(|_| IdentityError::Damaged(path))
    }

    /// Writes the identity to `dir`, replacing the one there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), IdentityError> {
        let path = dir.join(FILE);
        let failed = |source| IdentityError::File { path: path.clone(), source };
        let text = serde_json::to_vec_pretty(self).map_err(|error| failed(error.into()))?;
        files::private_dir(dir).and_then(|()| files::replace(&path, &text)).map_err(failed)
    }

    /// Where the identity of `dir` lies, with its key.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join(FILE)
    }

    /// Whether `dir` holds an identity.
    pub fn exists(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    pub(crate) fn tls(&self) -> Result<rustls::ClientConfig, TlsError> {
        let key = PrivateKeyDer::try_from(self.key.clone())
            .map_err(|reason| TlsError::Rustls(rustls::Error::General(reason.to_owned())))?;
        tls::client_config(
            &CertificateDer::from(self.authority.clone()),
            CertificateDer::from(self.certificate.clone()),
            key,
        )
    }
}
