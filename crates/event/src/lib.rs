#![doc = include_str!("../README.md")]

pub mod activity;
pub mod coverage;
pub mod ecs;
pub mod entity;
pub mod event;
pub mod field;
pub mod finding;
pub mod id;
pub mod inventory;
pub mod kind;
pub mod logsource;
pub mod loss;
pub mod ocsf;
mod projection;
mod source_fields;
pub mod time;
pub mod value;

pub use activity::{Activity, Event, Kind};
pub use entity::{
    Account, Denial, Discrepancy, Dns, File, Health, Imported, Kernel, Logon, Memory, Module,
    Network, Persistence, Process, Script, Service, Target, Tls, Transition,
};
pub use field::{FIELDS, FieldId, FieldSpec};
pub use id::{AlertId, BootId, EndpointId, EventId, ProcessKey, TenantId};
pub use loss::{GivenUp, LossInterval, Tally};
pub use projection::ProjectionError;
pub use source_fields::{NameNumber, Place, SourceFields};
pub use time::Timestamp;
pub use value::{FieldType, Text, Value, ValueRef};
