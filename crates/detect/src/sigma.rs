//! Sigma as it is written: what a document says, before it is compiled with others.
//!
//! Follows the Sigma specification 2.1 (rules, correlations, modifiers appendix). Each sibling
//! reads one part; none of them knows of events.

pub(crate) mod condition;
pub(crate) mod correlation;
pub(crate) mod encode;
pub(crate) mod filter;
pub(crate) mod guard;
pub(crate) mod header;
pub(crate) mod model;
pub(crate) mod modifier;
pub(crate) mod narrow;
pub(crate) mod necessary;
pub(crate) mod pattern;
pub(crate) mod placeholder;
pub(crate) mod value;
