//! Signatures over what a server tells its sensors, so that nobody else can: Ed25519, the key
//! learnt at enrolment.
//!
//! Covered: a fixed head, the purpose, the endpoint it is meant for (zero: every one), the
//! payload. Invariant: a payload signed for one purpose or endpoint verifies for no other.

use metsuke_event::EndpointId;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

const HEAD: &[u8] = b"metsuke signed value 1\0";
/// Length of an Ed25519 public key in bytes (RFC 8032).
pub const PUBLIC_KEY_BYTES: usize = 32;

/// What a signed payload is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Detection content, for every endpoint.
    Content,
    /// A policy.
    Policy,
    /// A response plan.
    Plan,
    /// The withdrawal of a plan.
    Cancel,
    /// A part of a pack of indicators, for every endpoint.
    Indicators,
    /// Leave to remove a sensor from its host.
    Uninstall,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Policy => "policy",
            Self::Plan => "plan",
            Self::Cancel => "cancel",
            Self::Indicators => "indicators",
            Self::Uninstall => "uninstall",
        }
    }
}

/// A signature that does not hold.
#[derive(Debug, thiserror::Error)]
#[error("the {0} is not signed by the server this sensor enrolled with; it is not followed")]
pub struct SignatureError(&'static str);

impl SignatureError {
    pub(crate) const fn of(purpose: Purpose) -> Self {
        Self(purpose.name())
    }
}

/// The key that signs.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(hidden)")
    }
}

impl SigningKey {
    /// A new key as PKCS #8, to be kept secret. `None` when the system gives no randomness.
    pub(crate) fn generate() -> Option<Vec<u8>> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).ok()?;
        Some(document.as_ref().to_vec())
    }

    /// A token that lets the sensor `endpoint` be uninstalled until `expires`, in seconds since 1970.
    pub fn uninstall_token(&self, endpoint: EndpointId, expires: u64) -> String {
        let payload = expires.to_string();
        let signature = self.sign(Purpose::Uninstall, endpoint, payload.as_bytes());
        format!("{payload}.{}", hex::encode(signature))
    }

    /// From PKCS #8; `None` when it is none.
    pub(crate) fn from_pkcs8(bytes: &[u8]) -> Option<Self> {
        Ed25519KeyPair::from_pkcs8(bytes).ok().map(|pair| Self { pair })
    }

    /// The public half: 32 bytes.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Signs `payload` for `purpose` at `endpoint`.
    pub fn sign(&self, purpose: Purpose, endpoint: EndpointId, payload: &[u8]) -> Vec<u8> {
        self.pair.sign(&covered(purpose, endpoint, payload)).as_ref().to_vec()
    }
}

/// Checks that `signature` is `key`'s over `payload` for `purpose` at `endpoint`.
///
/// # Errors
/// When it is not.
pub fn verify(
    key: &[u8],
    purpose: Purpose,
    endpoint: EndpointId,
    payload: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    UnparsedPublicKey::new(&ED25519, key)
        .verify(&covered(purpose, endpoint, payload), signature)
        .map_err(|_| SignatureError(purpose.name()))
}

fn covered(purpose: Purpose, endpoint: EndpointId, payload: &[u8]) -> Vec<u8> {
    let endpoint = match purpose {
        Purpose::Content | Purpose::Indicators => EndpointId::default(),
        Purpose::Policy | Purpose::Plan | Purpose::Cancel | Purpose::Uninstall => endpoint,
    };
    let mut covered = Vec::with_capacity(HEAD.len() + 32 + payload.len());
    covered.extend_from_slice(HEAD);
    covered.extend_from_slice(purpose.name().as_bytes());
    covered.push(0);
    covered.extend_from_slice(&endpoint.as_u128().to_be_bytes());
    covered.extend_from_slice(payload);
    covered
}

#[cfg(test)]
mod tests {
    use metsuke_event::EndpointId;

    use super::{Purpose, SigningKey, verify};

    #[test]
    fn a_signature_holds_for_its_purpose_and_endpoint_only() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().expect("random")).expect("own");
        let other = SigningKey::from_pkcs8(&SigningKey::generate().expect("random")).expect("own");
        let (a, b) = (EndpointId::from_u128(1), EndpointId::from_u128(2));
        let signature = key.sign(Purpose::Plan, a, b"x");
        assert!(verify(key.public(), Purpose::Plan, a, b"x", &signature).is_ok());
        assert!(verify(key.public(), Purpose::Plan, b, b"x", &signature).is_err());
        assert!(verify(key.public(), Purpose::Cancel, a, b"x", &signature).is_err());
        assert!(verify(key.public(), Purpose::Plan, a, b"y", &signature).is_err());
        assert!(verify(other.public(), Purpose::Plan, a, b"x", &signature).is_err());
        let content = key.sign(Purpose::Content, a, b"x");
        assert!(verify(key.public(), Purpose::Content, b, b"x", &content).is_ok());
    }
}
