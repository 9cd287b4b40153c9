//! Elastic Common Schema: ours, and what beats and Elastic's agents write.

use metsuke_event::field::{self, Group};
use metsuke_event::value::Text;
use metsuke_event::{Kind, Value, ecs};
use serde_json::Value as Json;

use crate::builder::{Builder, time};
use crate::json::flat::{fields, text};
use crate::json::{Object, Read, SourcesOf, System};
use crate::record::{Record, Sources};

/// ECS names whose Sigma name is no row of the field table: what is special to Windows.
const SIGMA: &[(&str, &str)] = &[
    ("process.pe.original_file_name", "OriginalFileName"),
    ("process.pe.product", "Product"),
    ("process.pe.company", "Company"),
    ("process.pe.description", "Description"),
    ("process.pe.file_version", "FileVersion"),
    ("process.pe.imphash", "Imphash"),
    ("process.hash.md5", "md5"),
    ("process.hash.sha1", "sha1"),
    ("process.Ext.token.integrity_level_name", "IntegrityLevel"),
    ("registry.path", "TargetObject"),
    ("registry.data.strings", "Details"),
    ("file.code_signature.status", "SignatureStatus"),
    ("dll.code_signature.status", "SignatureStatus"),
    ("dll.code_signature.signed", "Signed"),
    ("dll.pe.original_file_name", "OriginalFileName"),
    ("dll.path", "ImageLoaded"),
    ("powershell.file.script_block_text", "ScriptBlockText"),
];

/// Whether `object` looks like ECS.
pub(super) fn is(object: &Object) -> bool {
    let nested = |name: &str| object.get(name).is_some_and(Json::is_object);
    nested("event")
        || nested("ecs")
        || object.contains_key("event.category")
        || object.contains_key("event.action")
}

pub(super) fn read(sources: &mut SourcesOf, number: u64, object: Object) -> Read {
    let json = Json::Object(object);
    if let Ok(event) = ecs::from_ecs(&json) {
        let kind = event.activity.kind();
        let name = json.pointer("/host/os/type").and_then(Json::as_str);
        let system = match System::of(name, event.process.exe.as_deref()) {
            System::Unknown => System::Linux,
            system => system,
        };
        return Ok(Record { event, sources: sources.get(kind, system), number });
    }
    let Json::Object(object) = json else { return Err("no object".to_owned()) };
    let fields = fields(object);
    let list = |name: &str| text(&fields, name).map(|text| &**text).unwrap_or_default();
    let os = ["host.os.type", "host.os.family", "host.os.platform", "host.os.name"];
    let os = os.iter().find_map(|name| text(&fields, name));
    let exe = text(&fields, "process.executable").or_else(|| text(&fields, "file.path"));
    let system = System::of(os.map(|os| &**os), exe.map(|exe| &**exe));
    let what = What {
        categories: list("event.category"),
        types: list("event.type"),
        action: list("event.action"),
        outcome: list("event.outcome"),
        direction: list("network.direction"),
        dns: text(&fields, "dns.question.name").is_some(),
    };
    let found = match what.kind() {
        Some(kind) => (kind, sources.get(kind, system)),
        None => match what.registry(system) {
            Some(sources) => (Kind::Imported, sources),
            None => {
                return Err(format!(
                    "`event.category` ({}) and `event.type` ({}) name no activity that is known",
                    what.categories.replace('\n', ","),
                    what.types.replace('\n', ",")
                ));
            }
        },
    };
    Ok(Record { event: event(found.0, fields), sources: found.1, number })
}

fn event(kind: Kind, fields: Vec<(Text, Value)>) -> metsuke_event::Event {
    let mut builder = Builder::new(kind);
    builder.time(text(&fields, "@timestamp").and_then(|text| time(text)));
    let host = text(&fields, "host.hostname").or_else(|| text(&fields, "host.name"));
    builder.host(host.cloned());
    builder
        .imported("registry", text(&fields, "event.type").map(|name| &**name).unwrap_or_default());
    for (name, value) in fields {
        if let Some((_, sigma)) = SIGMA.iter().find(|(ecs, _)| **ecs == *name) {
            builder.keep(sigma, &value);
            continue;
        }
        let spec = field::by_ecs(&name).filter(|spec| spec.group != Group::Meta);
        if !spec.is_some_and(|spec| builder.typed(spec, &value)) {
            builder.keep(&name, &value);
        }
    }
    builder.done()
}

/// What the event says of its kind; lists have an entry a line.
struct What<'f> {
    categories: &'f str,
    types: &'f str,
    action: &'f str,
    outcome: &'f str,
    direction: &'f str,
    dns: bool,
}

impl What<'_> {
    fn kind(&self) -> Option<Kind> {
        let category = |name: &str| self.categories.lines().any(|one| one == name);
        let is = |name: &str| self.types.lines().any(|one| one == name);
        let action = self.action.to_ascii_lowercase();
        if self.dns {
            return Some(Kind::DnsQuery);
        }
        if category("process") {
            return match () {
                () if is("start") => Some(Kind::ProcessExec),
                () if is("end") => Some(Kind::ProcessExit),
                () if is("access") => Some(Kind::ProcessAccess),
                () => None,
            };
        }
        if category("file") {
            return match () {
                () if is("creation") => Some(Kind::FileCreate),
                () if is("deletion") => Some(Kind::FileDelete),
                () if action.contains("rename") => Some(Kind::FileRename),
                () if is("change") => Some(Kind::FileModify),
                () if is("access") => Some(Kind::FileRead),
                () => None,
            };
        }
        let inward = matches!(self.direction, "ingress" | "inbound" | "incoming");
        if category("network") {
            return match () {
                () if is("end") => Some(Kind::NetworkClose),
                () if inward || action.contains("accept") => Some(Kind::NetworkAccept),
                () => Some(Kind::NetworkConnect),
            };
        }
        if category("authentication") || category("session") {
            return match () {
                () if self.outcome == "failure" || is("denied") => Some(Kind::UserLogonFailed),
                () if is("end") => Some(Kind::UserLogoff),
                () => Some(Kind::UserLogon),
            };
        }
        if category("iam") {
            return match () {
                () if is("creation") => Some(Kind::AccountCreate),
                () if is("deletion") => Some(Kind::AccountDelete),
                () if is("change") => Some(Kind::AccountModify),
                () => None,
            };
        }
        match () {
            () if category("library") => Some(Kind::ImageLoad),
            () if category("driver") && is("end") => Some(Kind::ModuleUnload),
            () if category("driver") => Some(Kind::ModuleLoad),
            () => None,
        }
    }

    /// The log sources of a change of the registry, which the vocabulary has no kind for.
    fn registry(&self, system: System) -> Option<Sources> {
        if !self.categories.lines().any(|one| one == "registry") {
            return None;
        }
        let is = |name: &str| self.types.lines().any(|one| one == name);
        let category = match () {
            () if is("deletion") => "registry_delete",
            () if is("creation") => "registry_add",
            () if is("change") => "registry_set",
            () => "registry_access",
        };
        let of = |category| metsuke_event::logsource::LogSource {
            product: system.product().or(Some("windows")),
            category: Some(category),
            service: None,
        };
        Some([of(category), of("registry_event")].into_iter().collect())
    }
}
