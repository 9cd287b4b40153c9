//! The server's certificate authority: issues its own certificate and the sensors', and holds the
//! key that signs content, policies and plans.
//!
//! Invariant: secrets are readable by their owner only, and never printed. Invariant: a sensor's
//! certificate can authenticate a client and nothing else; its name is the endpoint's id, whatever
//! the request asked for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use metsuke_event::EndpointId;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use crate::files;
use crate::sign::SigningKey;

/// The name in the server's certificate, the same for every server: a sensor knows its server by
/// the authority it pinned, not by an address.
pub const SERVER_NAME: &str = "server.metsuke.internal";

/// Largest certificate request taken, in bytes; one with a P-256 key has about 250.
const CSR_MAX: usize = 4_096;
const AUTHORITY_YEARS: i32 = 30;
const LEAF_YEARS: i32 = 10;

/// What can go wrong with the authority.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file of the authority cannot be read or written.
    #[error("cannot {what} {path}; check that the server's data folder is writable and has room")]
    File {
        /// `read`, `write` or `create`.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error(
        "{path} is damaged; restore it from a backup: without it every sensor must enrol again"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// A certificate could not be made.
    #[error("a certificate could not be made")]
    Make(#[from] rcgen::Error),
    /// The system gives no randomness.
    #[error("the system gives no randomness; no key can be made")]
    Random,
    /// What the sensor sent is no certificate request.
    #[error("the certificate request is refused: {0}")]
    Request(&'static str),
}

/// The authority of one server.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    signing: SigningKey,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("fingerprint", &self.fingerprint())
            .finish_non_exhaustive()
    }
}

/// A certificate with its key, as the server presents it.
#[derive(Debug)]
pub struct ServerCertificate {
    /// Leaf first, then the authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: PrivateKeyDer<'static>,
}

impl Authority {
    /// Opens the authority in `dir`, or makes a new one there when there is none.
    ///
    /// # Errors
    /// When a file cannot be read or written, or is damaged.
    pub fn open(dir: &Path) -> Result<Self, CaError> {
        let key_path = dir.join("authority.key");
        let certificate_path = dir.join("authority.der");
        let signing_path = dir.join("signing.key");
        files::private_dir(dir).map_err(file_error("create", dir))?;
        // The certificate is written last: an authority that was not finished is made anew.
        if !certificate_path.exists() {
            let (key, certificate) = make()?;
            let signing = SigningKey::generate().ok_or(CaError::Random)?;
            for (path, content) in [
                (&key_path, key.as_slice()),
                (&signing_path, signing.as_slice()),
                (&certificate_path, certificate.as_slice()),
            ] {
                files::replace(path, content).map_err(file_error("write", path))?;
            }
        }
        let read = |path: &Path| fs::read(path).map_err(file_error("read", path));
        let damaged = |path: &Path| CaError::Damaged { path: path.to_owned() };
        let key = read(&key_path)?;
        let key = KeyPair::try_from(key).map_err(|_| damaged(&key_path))?;
        let certificate = CertificateDer::from(read(&certificate_path)?);
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|_| damaged(&certificate_path))?;
        let signing =
            SigningKey::from_pkcs8(&read(&signing_path)?).ok_or_else(|| damaged(&signing_path))?;
        Ok(Self { issuer, certificate, signing })
    }

    /// The authority's certificate.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of the authority's certificate, lower-case hexadecimal: what an administrator hands
    /// to a sensor at enrolment.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }

    /// The key that signs content, policies and plans.
    pub const fn signing(&self) -> &SigningKey {
        &self.signing
    }

    /// A fresh certificate for the server itself. Made at each start; its key is never stored.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn issue_server(&self) -> Result<ServerCertificate, CaError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
        leaf(&mut params, SERVER_NAME, ExtendedKeyUsagePurpose::ServerAuth);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|_| CaError::Make(rcgen::Error::CouldNotParseKeyPair))?;
        Ok(ServerCertificate {
            chain: vec![certificate.der().clone(), self.certificate.clone()],
            key,
        })
    }

    /// Signs a sensor's request. Only its key is taken; everything else is decided here.
    ///
    /// # Errors
    /// When it is no request, is too large, or is not signed with its own key.
    pub fn sign_request(
        &self,
        request: &[u8],
        endpoint: EndpointId,
    ) -> Result<CertificateDer<'static>, CaError> {
        if request.len() > CSR_MAX {
            return Err(CaError::Request("it is too large"));
        }
        let request = CertificateSigningRequestDer::from(request);
        let request = CertificateSigningRequestParams::from_der(&request)
            .map_err(|_| CaError::Request("it is no PKCS #10 request signed with its own key"))?;
        let mut params = CertificateParams::default();
        leaf(&mut params, &endpoint.to_string(), ExtendedKeyUsagePurpose::ClientAuth);
        Ok(params.signed_by(&request.public_key, &self.issuer)?.der().clone())
    }
}

/// SHA-256 of a certificate, lower-case hexadecimal.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex::encode(Sha256::digest(certificate))
}

fn file_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CaError {
    let path = path.to_owned();
    move |source| CaError::File { what, path, source }
}

fn make() -> Result<(Vec<u8>, Vec<u8>), CaError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    name(&mut params, "Metsuke authority");
    lifetime(&mut params, AUTHORITY_YEARS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key)?;
    Ok((key.serialize_der(), certificate.der().to_vec()))
}

fn leaf(params: &mut CertificateParams, common_name: &str, usage: ExtendedKeyUsagePurpose) {
    name(params, common_name);
    lifetime(params, LEAF_YEARS);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    params.use_authority_key_identifier_extension = true;
}

fn name(params: &mut CertificateParams, common_name: &str) {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
}

/// Valid from the year before the last, so that a clock set back somewhat locks nobody out.
fn lifetime(params: &mut CertificateParams, years: i32) {
    let year = this_year();
    params.not_before = date_time_ymd(year - 2, 1, 1);
    params.not_after = date_time_ymd(year + years, 1, 1);
}

fn this_year() -> i32 {
    const SECONDS_PER_YEAR: u64 = 31_556_952;
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let years = since.map_or(0, |since| since.as_secs() / SECONDS_PER_YEAR);
    1970 + i32::try_from(years).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use metsuke_event::EndpointId;

    use super::{Authority, CaError};

    #[test]
    fn an_authority_outlives_its_process_and_keeps_its_secrets() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = Authority::open(dir.path()).expect("made");
        let again = Authority::open(dir.path()).expect("opened");
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(first.signing().public(), again.signing().public());
        for file in ["authority.key", "signing.key"] {
            let mode =
                std::fs::metadata(dir.path().join(file)).expect("there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "{file}");
        }
    }

    #[test]
    fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        drop(Authority::open(dir.path()).expect("made"));
        std::fs::write(dir.path().join("signing.key"), b"x").expect("overwritten");
        let error = Authority::open(dir.path()).expect_err("damaged").to_string();
        assert!(error.contains("signing.key"), "{error}");
    }

    #[test]
    fn a_request_that_is_none_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let authority = Authority::open(dir.path()).expect("made");
        let refused = |request: &[u8]| {
            matches!(
                authority.sign_request(request, EndpointId::default()),
                Err(CaError::Request(_))
            )
        };
        assert!(refused(b"no request"));
        assert!(refused(&[0; 10_000]));
    }
}
