//! Content and policies as they are kept between runs: with the server's signature, which is
//! checked again when they are read. Who can write the file cannot forge what it says.

use bytes::Bytes;

use crate::Identity;
use crate::message::Downstream;
use crate::proto::Signed;
use crate::proto::downstream::Kind;
use crate::sign::{SignatureError, verify};
use crate::wire::{self, WireError};

pub use crate::sign::Purpose;

/// Length of an Ed25519 signature in bytes (RFC 8032); it stands before the payload.
const SIGNATURE_BYTES: usize = 64;

/// A signed order as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    signature: Bytes,
    payload: Bytes,
}

impl Sealed {
    /// Of what came; `None` for what is not signed.
    pub(crate) fn of(kind: &Kind) -> Option<Self> {
        match kind {
            Kind::Content(Signed { payload, signature })
            | Kind::Policy(Signed { payload, signature })
            | Kind::Plan(Signed { payload, signature })
            | Kind::Indicators(Signed { payload, signature })
            | Kind::Cancel(Signed { payload, signature }) => {
                Some(Self { signature: signature.clone(), payload: payload.clone() })
            }
            _ => None,
        }
    }

    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.signature[..], &self.payload[..]].concat()
    }

    /// What was kept, if it is signed by the server of `identity` for `purpose` and its endpoint.
    ///
    /// # Errors
    /// When it is not, or cannot be read.
    pub fn open(
        identity: &Identity,
        purpose: Purpose,
        kept: Vec<u8>,
    ) -> Result<Downstream, WireError> {
        let kept = Bytes::from(kept);
        if kept.len() < SIGNATURE_BYTES {
            return Err(SignatureError::of(purpose).into());
        }
        let (signature, payload) = (kept.slice(..SIGNATURE_BYTES), kept.slice(SIGNATURE_BYTES..));
        verify(&identity.signing_key, purpose, identity.endpoint, &payload, &signature)?;
        wire::read(purpose, &payload, identity.endpoint)
    }
}

impl Identity {
    /// Checks a token that lets this sensor be uninstalled: `EXPIRES.SIGNATURE`, the time in seconds
    /// since 1970, the signature over it in hexadecimal.
    ///
    /// # Errors
    /// When it is not signed by the server for this endpoint; the caller looks at the time, which
    /// comes back.
    pub fn check_uninstall(&self, token: &str) -> Result<u64, SignatureError> {
        let wrong = || SignatureError::of(Purpose::Uninstall);
        let (expires, signature) = token.trim().split_once('.').ok_or_else(wrong)?;
        let signature = hex::decode(signature).map_err(|_| wrong())?;
        let (key, payload) = (&self.signing_key, expires.as_bytes());
        verify(key, Purpose::Uninstall, self.endpoint, payload, &signature)?;
        expires.parse().map_err(|_| wrong())
    }
}

#[cfg(test)]
mod tests {
    use metsuke_event::EndpointId;
    use metsuke_respond::Policy;

    use super::{Purpose, Sealed};
    use crate::Identity;
    use crate::message::{Bundle, Downstream};
    use crate::sign::SigningKey;

    fn identity(key: &SigningKey, endpoint: EndpointId) -> Identity {
        let nothing = Vec::new;
        Identity {
            endpoint,
            server: String::new(),
            certificate: nothing(),
            key: nothing(),
            authority: nothing(),
            signing_key: key.public().to_vec(),
        }
    }

    #[test]
    fn what_was_kept_is_read_only_as_it_was_signed() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().expect("random")).expect("own");
        let endpoint = EndpointId::from_u128(1);
        let identity = identity(&key, endpoint);
        let bundle = Bundle { version: "7".to_owned(), serial: 7, ..Bundle::default() };
        let order = Downstream::Content(bundle);
        let kind = order.to_proto(&key, endpoint).expect("within bounds");
        let kept = Sealed::of(&kind).expect("signed").to_bytes();
        let open = |purpose, kept| Sealed::open(&identity, purpose, kept);
        assert_eq!(open(Purpose::Content, kept.clone()).expect("as it was"), order);
        assert!(open(Purpose::Policy, kept.clone()).is_err(), "for another purpose");
        for at in [0, 63, 64, kept.len() - 1] {
            let mut altered = kept.clone();
            altered[at] ^= 1;
            assert!(open(Purpose::Content, altered).is_err(), "byte {at}");
        }
        assert!(open(Purpose::Content, kept[..40].to_vec()).is_err());
        let policy = Downstream::Policy(Policy::default());
        let kind = policy.to_proto(&key, EndpointId::from_u128(2)).expect("within bounds");
        let others = Sealed::of(&kind).expect("signed").to_bytes();
        assert!(open(Purpose::Policy, others).is_err(), "for another endpoint");
    }

    #[test]
    fn only_the_server_lets_a_sensor_be_uninstalled() {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().expect("random")).expect("own");
        let endpoint = EndpointId::from_u128(1);
        let identity = identity(&key, endpoint);
        let token = key.uninstall_token(endpoint, 42);
        assert_eq!(identity.check_uninstall(&token).expect("signed"), 42);
        assert!(identity.check_uninstall(&token.replace("42.", "43.")).is_err());
        assert!(
            identity.check_uninstall(&key.uninstall_token(EndpointId::from_u128(2), 42)).is_err()
        );
        assert!(identity.check_uninstall("").is_err());
    }
}
