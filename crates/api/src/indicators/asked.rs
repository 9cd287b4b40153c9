//! What is asked of indicators: queries and bodies.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::shape::IndicatorList;
use crate::shape::Time;

/// Which indicators.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IndicatorQuery {
    /// Kind.
    pub kind: Option<String>,
    /// A value, defanged or not: a hash or address as a whole, of others a part.
    pub q: Option<String>,
    /// Source.
    pub source: Option<String>,
    /// `block`, `allow` or `watch`.
    pub list: Option<IndicatorList>,
    /// `active` or `expired`.
    pub state: Option<String>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// At most this many, 1 to 500; 100 by default.
    pub limit: Option<u32>,
}

/// Which sightings.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SightingQuery {
    /// Of this indicator.
    pub indicator: Option<String>,
    /// On this endpoint.
    pub endpoint: Option<String>,
    /// Where to go on.
    pub cursor: Option<String>,
    /// At most this many, 1 to 500; 100 by default.
    pub limit: Option<u32>,
}

/// How a document is to be read, and what holds where it is silent.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DocumentQuery {
    /// `auto` (the default), `stix`, `misp`, `openioc`, `csv`, `text` (one value a line) or `report`.
    pub format: Option<String>,
    /// Whose indicators they are; an import needs one.
    pub source: Option<String>,
    /// The document's name.
    pub document: Option<String>,
    /// `block`, `allow` or `watch` (the default), where the document does not say.
    pub list: Option<IndicatorList>,
    /// How sure the source is, 0 to 100, where the document does not say.
    pub confidence: Option<u8>,
    /// From when on they no longer hold (RFC 3339), where the document does not say.
    pub expires: Option<String>,
    /// Labels for all of them, separated by commas.
    pub label: Option<String>,
}

/// One indicator entered by hand.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct IndicatorRequest {
    /// Its kind; told by its form when left out.
    pub kind: Option<String>,
    /// The value, defanged or not.
    pub value: String,
    /// The list.
    pub list: IndicatorList,
    /// Whose it is.
    pub source: String,
    /// How sure one is, 0 to 100.
    pub confidence: Option<u8>,
    /// From when on it no longer holds.
    pub expires: Option<Time>,
    /// What to write to it.
    pub note: Option<String>,
}

/// What to change of an indicator; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct IndicatorPatch {
    /// The list.
    pub list: Option<IndicatorList>,
    /// Confidence, 0 to 100.
    pub confidence: Option<u8>,
    /// From when on it no longer holds; null takes the end away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Time>)]
    pub expires: Option<Option<Time>>,
    /// Note; an empty one takes it away.
    pub note: Option<String>,
}

/// Tells null from nothing.
#[expect(clippy::option_option, reason = "null takes the end away, nothing leaves it as it is")]
fn given<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<Time>>, D::Error> {
    Option::<Time>::deserialize(value).map(Some)
}
