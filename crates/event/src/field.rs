//! The one field table: what every field is called, everywhere.
//!
//! `FIELDS` is data. Arrow schema, projections, Sigma resolution, query completion and the
//! reference page read it; none of them spells a name itself.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::entity::{
    Account, Denial, Discrepancy, Dns, File, Health, Imported, Kernel, Logon, Memory, Module,
    Network, Persistence, Process, Script, Service, Target, Tls, Transition,
};
use crate::value::FieldType;

/// Number of a field: stable for ever, used on the wire and in stored rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(pub u16);

/// The entity a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// The envelope: identity, time, class.
    Meta,
    /// The process that acted.
    Process,
    /// The file acted upon.
    File,
    /// The flow acted upon.
    Network,
    /// The DNS question.
    Dns,
    /// The kernel module.
    Module,
    /// The sensor itself.
    Health,
    /// What a process changed about itself.
    Transition,
    /// The process acted upon.
    Target,
    /// The memory acted upon.
    Memory,
    /// The script.
    Script,
    /// The kernel.
    Kernel,
    /// The logon.
    Logon,
    /// The account or group.
    Account,
    /// What starts by itself.
    Persistence,
    /// The service.
    Service,
    /// The TLS client.
    Tls,
    /// What was denied.
    Denial,
    /// What two views differ in.
    Discrepancy,
    /// The record of another product's log.
    Imported,
}

/// One row of the field table.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// Stable number.
    pub id: FieldId,
    /// Canonical name: the name in queries, and with `.` as `_` the Arrow column. An OCSF
    /// attribute path where OCSF has one (`process.` stands for `actor.process.` outside
    /// process activities).
    pub name: &'static str,
    /// Entity it belongs to.
    pub group: Group,
    /// Type of its values.
    pub ty: FieldType,
    /// Name in the Elastic Common Schema; without one it travels under `metsuke.`.
    pub ecs: Option<&'static str>,
    /// Names in Sigma rules: `Name`, or `Name@category` when it means this field only there.
    pub sigma: &'static [&'static str],
    /// Whether OCSF 1.4 has an attribute for it; otherwise it travels under `unmapped`.
    pub fits_ocsf: bool,
    /// One line of documentation.
    pub doc: &'static str,
}

impl FieldSpec {
    /// The Arrow column's name.
    pub fn column(&self) -> String {
        self.name.replace('.', "_")
    }
}

macro_rules! meta {
    ($id:literal $name:literal $ty:ident, ecs $ecs:expr, fits $fits:literal, $doc:literal) => {
        FieldSpec {
            id: FieldId($id),
            name: $name,
            group: Group::Meta,
            ty: FieldType::$ty,
            ecs: $ecs,
            sigma: &[],
            fits_ocsf: $fits,
            doc: $doc,
        }
    };
}

/// Numbers of the envelope's fields.
pub mod meta {
    use super::FieldId;
    /// Kind of activity, for example `process.exec`.
    pub const CLASS: FieldId = FieldId(1);
    /// Event time.
    pub const TIME: FieldId = FieldId(2);
    /// Time the server received it.
    pub const RECEIVED: FieldId = FieldId(3);
    /// Endpoint id.
    pub const ENDPOINT: FieldId = FieldId(4);
    /// Boot id.
    pub const BOOT: FieldId = FieldId(5);
    /// Counter within the boot.
    pub const SEQ: FieldId = FieldId(6);
    /// Tenant.
    pub const TENANT: FieldId = FieldId(7);
    /// Host name.
    pub const HOST: FieldId = FieldId(8);
}

const META: &[FieldSpec] = &[
    meta!(1 "class" Text, ecs Some("event.action"), fits true, "Kind of activity, for example process.exec or file.modify."),
    meta!(2 "time" Time, ecs Some("@timestamp"), fits true, "When it happened, by the endpoint's clock."),
    meta!(3 "received_time" Time, ecs Some("event.ingested"), fits true, "When the server received it, by the server's clock."),
    meta!(4 "device.uid" Text, ecs Some("agent.id"), fits true, "Endpoint id: 32 hexadecimal digits."),
    meta!(5 "device.boot_uid" Text, ecs Some("host.boot.id"), fits true, "Boot id: 32 hexadecimal digits."),
    meta!(6 "metadata.sequence" U64, ecs Some("event.sequence"), fits true, "The sensor's counter within the boot."),
    meta!(7 "metadata.tenant_uid" U64, ecs Some("organization.id"), fits true, "Tenant."),
    meta!(8 "device.hostname" Text, ecs Some("host.hostname"), fits true, "Host name, as the endpoint calls itself."),
];

/// Every field, ordered by number.
pub static FIELDS: LazyLock<Vec<&'static FieldSpec>> = LazyLock::new(|| {
    let tables: [&'static [FieldSpec]; 20] = [
        META,
        Process::SPECS,
        File::SPECS,
        Network::SPECS,
        Dns::SPECS,
        Module::SPECS,
        Health::SPECS,
        Transition::SPECS,
        Target::SPECS,
        Memory::SPECS,
        Script::SPECS,
        Kernel::SPECS,
        Logon::SPECS,
        Account::SPECS,
        Persistence::SPECS,
        Service::SPECS,
        Tls::SPECS,
        Denial::SPECS,
        Discrepancy::SPECS,
        Imported::SPECS,
    ];
    let mut fields: Vec<_> = tables.into_iter().flatten().collect();
    fields.sort_by_key(|spec| spec.id);
    fields
});

static BY_NAME: LazyLock<HashMap<&'static str, &'static FieldSpec>> =
    LazyLock::new(|| FIELDS.iter().map(|spec| (spec.name, *spec)).collect());

static BY_SIGMA: LazyLock<HashMap<&'static str, &'static FieldSpec>> = LazyLock::new(|| {
    FIELDS.iter().flat_map(|spec| spec.sigma.iter().map(|name| (*name, *spec))).collect()
});

static BY_ECS: LazyLock<HashMap<&'static str, &'static FieldSpec>> =
    LazyLock::new(|| FIELDS.iter().filter_map(|spec| Some((spec.ecs?, *spec))).collect());

/// The row with number `id`.
pub fn by_id(id: FieldId) -> Option<&'static FieldSpec> {
    FIELDS.binary_search_by_key(&id, |spec| spec.id).ok().map(|index| FIELDS[index])
}

/// The row with canonical name `name`.
pub fn by_name(name: &str) -> Option<&'static FieldSpec> {
    BY_NAME.get(name).copied()
}

/// The row with ECS name `name`.
pub fn by_ecs(name: &str) -> Option<&'static FieldSpec> {
    BY_ECS.get(name).copied()
}

/// The row a Sigma rule of `category` means by `name`. Sigma field names are case sensitive.
pub fn by_sigma(name: &str, category: Option<&str>) -> Option<&'static FieldSpec> {
    if let Some(category) = category
        && let Some(spec) = BY_SIGMA.get(format!("{name}@{category}").as_str())
    {
        return Some(spec);
    }
    BY_SIGMA.get(name).copied()
}

/// The row people mean by `name` in a query: canonical, ECS or Sigma name, or one of the short
/// names `pid exe cmd user host sha256 ip port domain`.
pub fn by_any_name(name: &str) -> Option<&'static FieldSpec> {
    by_name(name).or_else(|| by_ecs(name)).or_else(|| by_sigma(name, None)).or_else(|| {
        let canonical = match name {
            "pid" => "process.pid",
            "exe" => "process.file.path",
            "cmd" => "process.cmd_line",
            "user" => "process.user.name",
            "host" => "device.hostname",
            "endpoint" => "device.uid",
            "ip" => "dst_endpoint.ip",
            "port" => "dst_endpoint.port",
            "domain" => "query.hostname",
            _ => return None,
        };
        by_name(canonical)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{FIELDS, by_any_name, by_sigma};

    #[test]
    fn numbers_names_and_columns_are_unique() {
        let mut ids = HashSet::new();
        let mut names = HashSet::new();
        let mut columns = HashSet::new();
        let mut ecs = HashSet::new();
        for spec in FIELDS.iter() {
            assert!(ids.insert(spec.id), "number {:?} twice", spec.id);
            assert!(names.insert(spec.name), "name {} twice", spec.name);
            assert!(columns.insert(spec.column()), "column {} twice", spec.column());
            if let Some(name) = spec.ecs {
                assert!(ecs.insert(name), "ECS name {name} twice");
            }
        }
    }

    #[test]
    fn sigma_names_depend_on_the_category() {
        let file = by_sigma("sha256", Some("file_event")).expect("known");
        let process = by_sigma("sha256", Some("process_creation")).expect("known");
        assert_eq!(file.name, "file.hash.sha256");
        assert_eq!(process.name, "process.file.hash.sha256");
        assert!(by_sigma("commandline", None).is_none(), "Sigma names are case sensitive");
    }

    #[test]
    fn short_names_resolve() {
        for name in ["pid", "exe", "cmd", "user", "host", "ip", "port", "domain", "sha256"] {
            assert!(by_any_name(name).is_some(), "{name}");
        }
    }
}
