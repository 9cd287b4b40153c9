//! BPF programs, maps and links: those the kernel has, by id and by iterator, against those that
//! somebody owns up to.

mod owners;

use std::collections::BTreeMap;

use crate::host::Pace;
use crate::kernel::Iterators;
use crate::kernel::record::{self, Object};
use crate::mounts::Namespaces;
use crate::raw::BpfKind;
use crate::view::{Pass, Subject, SubjectType, View};
use owners::Owners;

const OF: SubjectType = SubjectType::Bpf;

/// Types of programs (linux/bpf.h) that are also held by a socket or a network device, without any
/// descriptor or name: socket filter, classifier, action, XDP, lightweight tunnels, segment routing.
const HELD_BY_NETWORK: [u32; 8] = [1, 3, 4, 6, 10, 11, 12, 19];

/// Looks at them in every way.
pub(crate) fn look(iterators: &Iterators, namespaces: &Namespaces) -> Pass {
    let mut pass = Pass::default();
    let mut pace = Pace::default();
    let iterated = all_iterated(iterators);
    let names = iterated.as_ref().cloned().unwrap_or_default();
    let listed = all_listed();
    let ids = match &listed {
        Ok(ids) => ids.clone(),
        Err(reason) => {
            pass.views.push(View::refused("bpf_ids", OF, reason.clone()));
            pass.views.push(View::refused("owners", OF, reason.clone()));
            Vec::new()
        }
    };
    pass.views.push(View::from_result(
        "bpf_iter",
        OF,
        iterated
            .map(|all| all.into_iter().map(|(key, object)| shown(key, Some(&object))).collect()),
    ));
    if listed.is_err() {
        return pass;
    }
    let owners = Owners::find(&ids, namespaces, &mut pace);
    let mut owned = View::new("owners", OF);
    let mut all = View::new("bpf_ids", OF);
    for key in &ids {
        let (id, subject) = shown(*key, names.get(key));
        if owners.has(*key) {
            owned.show(id.clone(), Subject::default());
        } else {
            let kind = names.get(key).map_or(0, |object| object.kind);
            clue(*key, kind, &owners, &mut pass, &id);
        }
        all.show(id, subject);
    }
    pass.views.extend([all, owned]);
    pass
}

fn clue(key: Key, kind: u32, owners: &Owners, pass: &mut Pass, id: &str) {
    let origin = owners.origin(key).unwrap_or_default();
    let nobody = "no process has a descriptor of it, no name is pinned, and nothing that is owned \
                  leads to it";
    if key.0 == BpfKind::Program && HELD_BY_NETWORK.contains(&kind) {
        let detail = format!(
            "{nobody}; a socket or a network device may hold a program of type {kind}{origin}"
        );
        pass.clue(OF, id, "held_by_network", detail);
    } else {
        pass.clue(OF, id, "no_owner", format!("{nobody} (type {kind}){origin}"));
    }
}

/// What an object is known by.
pub(crate) type Key = (BpfKind, u32);

fn shown((kind, id): Key, object: Option<&Object>) -> (String, Subject) {
    let name = object.map_or("", |object| object.name.as_str());
    let label = format!("{} {id} {name}", kind.name()).trim_end().to_owned();
    (format!("{}:{id}", kind.name()), Subject::labelled(label))
}

fn all_iterated(iterators: &Iterators) -> Result<BTreeMap<Key, Object>, String> {
    let mut all = BTreeMap::new();
    for (kind, program) in
        BpfKind::ALL.into_iter().zip(["on_bpf_prog", "on_bpf_map", "on_bpf_link"])
    {
        for bytes in iterators.read::<{ record::OBJECT }>(program)? {
            let object = record::object(&bytes);
            all.insert((kind, object.id), object);
        }
    }
    Ok(all)
}

fn all_listed() -> Result<Vec<Key>, String> {
    let mut all = Vec::new();
    for kind in BpfKind::ALL {
        let ids = kind.ids().map_err(|error| {
            format!("{} ids: {error}; CAP_SYS_ADMIN or CAP_BPF is needed", kind.name())
        })?;
        all.extend(ids.into_iter().map(|id| (kind, id)));
    }
    Ok(all)
}
