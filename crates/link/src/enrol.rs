//! Enrolment, the sensor's side: a one-time token and the authority's fingerprint in, an identity
//! out.

use std::time::Duration;

use metsuke_event::EndpointId;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};

use crate::ca::{CaError, fingerprint};
use crate::dial::{DialError, dial};
use crate::identity::Identity;
use crate::message::EnrolFacts;
use crate::proto;
use crate::sign::PUBLIC_KEY_BYTES;
use crate::tls::{TlsError, enrol_config};

/// How long one enrolment may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why enrolment failed.
#[derive(Debug, thiserror::Error)]
pub enum EnrolFailure {
    /// The fingerprint is none.
    #[error("`{0}` is no fingerprint; give the 64 hexadecimal digits the server printed")]
    Fingerprint(String),
    /// The server cannot be reached, or is another one than the fingerprint says.
    #[error(
        "cannot reach the server; check its address, and that the fingerprint is this server's"
    )]
    Dial(#[from] DialError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server said no.
    #[error("the server refused: {0}")]
    Refused(String),
    /// The request could not be made.
    #[error("the certificate request could not be made")]
    Request(#[from] CaError),
    /// The answer makes no sense.
    #[error("the server's answer breaks the protocol: {0}; is it a Metsuke server?")]
    Answer(&'static str),
}

/// Enrols with `server` (`HOST:PORT`), which proves itself by `ca_fingerprint` (64 hexadecimal
/// digits, colons and case do not matter). The token is used up as soon as the server takes it.
///
/// # Errors
/// When the server cannot be reached, is another one, or refuses the token.
pub async fn enrol(
    server: &str,
    token: &str,
    ca_fingerprint: &str,
    facts: EnrolFacts,
) -> Result<Identity, EnrolFailure> {
    let pinned = ca_fingerprint.replace(':', "").to_ascii_lowercase();
    if pinned.len() != 64 || !pinned.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(EnrolFailure::Fingerprint(ca_fingerprint.chars().take(100).collect()));
    }
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(CaError::Make)?;
    let request = CertificateParams::default().serialize_request(&key).map_err(CaError::Make)?;
    let channel = dial(server, enrol_config(pinned.clone())?).await?;
    let mut client = proto::link_client::LinkClient::new(channel);
    let call = client.enrol(proto::EnrolRequest {
        token: token.to_owned(),
        csr: request.der().to_vec().into(),
        host: facts.host,
        os: facts.os,
        kernel: facts.kernel,
        version: facts.version,
    });
    let answer = tokio::time::timeout(TIMEOUT, call)
        .await
        .map_err(|_| EnrolFailure::Refused("it did not answer in time; try again".to_owned()))?
        .map_err(|status| EnrolFailure::Refused(status.message().to_owned()))?
        .into_inner();
    accept(server, &pinned, &key, &answer)
}

fn accept(
    server: &str,
    pinned: &str,
    key: &KeyPair,
    answer: &proto::EnrolResponse,
) -> Result<Identity, EnrolFailure> {
    let endpoint: EndpointId =
        answer.endpoint.parse().map_err(|_| EnrolFailure::Answer("no endpoint id"))?;
    if fingerprint(&answer.authority.to_vec().into()) != pinned {
        return Err(EnrolFailure::Answer("another authority than the pinned one"));
    }
    if answer.signing_key.len() != PUBLIC_KEY_BYTES {
        return Err(EnrolFailure::Answer("no signing key"));
    }
    let identity = Identity {
        endpoint,
        server: server.to_owned(),
        certificate: answer.certificate.to_vec(),
        key: key.serialize_der(),
        authority: answer.authority.to_vec(),
        signing_key: answer.signing_key.to_vec(),
    };
    // A certificate that does not fit the key shows here, not at the first session.
    identity.tls()?;
    Ok(identity)
}
