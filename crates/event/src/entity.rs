//! The entities activities are made of, and with each field its row of the one field table.
//!
//! A row reads: number, Rust name, type, canonical name (an OCSF attribute path), then what else
//! the field is called: `ecs`, Sigma names (`Name` for every log source, `Name@category` for one
//! category), and whether OCSF has a home for it (`unfit` when it has none).
//! Invariant: numbers are stable and unique over all entities (a test checks uniqueness).

#![expect(clippy::doc_markdown, reason = "the fields' docs are also shown as plain text")]

macro_rules! rust_type {
    (Text) => {
        Text
    };
    (U64) => {
        u64
    };
    (I64) => {
        i64
    };
    (Bool) => {
        bool
    };
    (Ip) => {
        IpAddr
    };
    (Time) => {
        Timestamp
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}

macro_rules! fits {
    () => {
        true
    };
    (unfit) => {
        false
    };
}

macro_rules! entity {
    (
        $(#[$doc:meta])*
        $name:ident in $group:ident {
            $(
                #[doc = $field_doc:literal]
                $id:literal $field:ident: $ty:ident = $canonical:literal
                    $(, ecs $ecs:literal)? $(, sigma $($sigma:literal)+)? $(@ $unfit:ident)?;
            )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $(
                #[doc = $field_doc]
                pub $field: Option<rust_type!($ty)>,
            )+
        }

        impl $name {
            /// This entity's rows of the field table.
            pub const SPECS: &'static [FieldSpec] = &[
                $(FieldSpec {
                    id: crate::field::FieldId($id),
                    name: $canonical,
                    group: Group::$group,
                    ty: FieldType::$ty,
                    ecs: optional!($($ecs)?),
                    sigma: &[$($($sigma),+)?],
                    fits_ocsf: fits!($($unfit)?),
                    doc: $field_doc,
                },)+
            ];

            /// The value of field `id`, if it is one of this entity's and is set.
            pub fn get(&self, id: crate::field::FieldId) -> Option<ValueRef<'_>> {
                match id.0 {
                    $($id => self.$field.as_ref().map(Held::as_value),)+
                    _ => None,
                }
            }

            /// Calls `visit` for every field that is set.
            pub fn visit<'s>(&'s self, visit: &mut impl FnMut(crate::field::FieldId, ValueRef<'s>)) {
                $(if let Some(value) = &self.$field {
                    visit(crate::field::FieldId($id), Held::as_value(value));
                })+
            }

            /// Sets field `id`; false when it is none of this entity's or the type is another.
            pub(crate) fn set(&mut self, id: crate::field::FieldId, value: &Value) -> bool {
                match id.0 {
                    $($id => match Held::from_value(value) {
                        Some(held) => {
                            self.$field = Some(held);
                            true
                        }
                        None => false,
                    },)+
                    _ => false,
                }
            }
        }
    };
}

mod objects;
mod subjects;
mod system;

pub use objects::{Dns, File, Health, Module, Network, Tls};
pub use subjects::{Memory, Process, Script, Target, Transition};
pub use system::{Account, Denial, Discrepancy, Imported, Kernel, Logon, Persistence, Service};
