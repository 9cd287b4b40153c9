//! Places in the lists of this noun, as cursors hold them.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use metsuke_event::EndpointId;

/// The key of a thing on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(pub(super) String);

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Key {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(Self(text.to_owned()))
    }
}

/// A file of the fleet: host and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot(pub(super) EndpointId, pub(super) String);

impl Display for Spot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

impl FromStr for Spot {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (endpoint, path) = text.split_once('.').ok_or(())?;
        Ok(Self(endpoint.parse().map_err(|_| ())?, path.to_owned()))
    }
}
