//! Kernel modules: `/proc/modules` against `/sys/module`, `/proc/kallsyms` and the kernel's symbol
//! iterator.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use crate::host;
use crate::kernel::{Iterators, record};
use crate::raw;
use crate::view::{Pass, Subject, SubjectType, View};

const OF: SubjectType = SubjectType::Module;

/// Names that symbols carry without being of a module.
const NO_MODULES: [&str; 4] = ["bpf", "__builtin__ftrace", "__builtin__kprobes", "kprobe"];

/// Looks at them in every way. The kernel's symbols are many; without modules they are not read.
pub(crate) fn look(iterators: &Iterators) -> Pass {
    let mut pass = Pass::default();
    let listed = match host::text("/proc/modules") {
        Ok(text) => text,
        Err(error) => {
            let reason = format!("this kernel takes no modules (/proc/modules: {error})");
            for name in ["proc_modules", "sys_module", "kallsyms", "bpf_iter_ksym"] {
                pass.views.push(View::refused(name, OF, reason.clone()));
            }
            return pass;
        }
    };
    let view = |name, shown| View::from_result(name, OF, shown);
    pass.views.push(view("proc_modules", Ok(subjects(first_words(&listed)))));
    pass.views.push(view("sys_module", loaded_below_sys().map(subjects)));
    let symbols = File::open("/proc/kallsyms").map_err(|error| error.to_string());
    let tagged =
        symbols.map(|file| subjects(tags(BufReader::new(file).lines().map_while(Result::ok))));
    pass.views.push(view("kallsyms", tagged));
    let iterated = iterators.read::<{ record::MODULE }>("on_ksym").map(|records| {
        let names: BTreeSet<String> = records.iter().map(record::module).collect();
        subjects(names.into_iter().filter(|name| is_module(name)).collect())
    });
    pass.views.push(view("bpf_iter_ksym", iterated));
    pass
}

fn subjects(names: BTreeSet<String>) -> Vec<(String, Subject)> {
    names.into_iter().map(|name| (name.clone(), Subject::labelled(name))).collect()
}

fn is_module(name: &str) -> bool {
    !name.is_empty() && !NO_MODULES.contains(&name)
}

/// `/proc/modules`: the name is the first word. A module that is being loaded or removed is left
/// out; the others do not show it yet or any more.
fn first_words(text: &str) -> BTreeSet<String> {
    let live = text.lines().filter(|line| line.contains(" Live "));
    live.filter_map(|line| line.split(' ').next().map(str::to_owned)).collect()
}

/// `/sys/module`: those that were loaded have a state, those built in have not.
fn loaded_below_sys() -> Result<BTreeSet<String>, String> {
    let folder = Path::new("/sys/module");
    let names = raw::names(folder).map_err(|error| format!("/sys/module: {error}"))?;
    let names = names.into_iter().filter_map(|name| String::from_utf8(name).ok());
    let live = |name: &String| {
        let state = host::text(folder.join(name).join("initstate"));
        state.is_ok_and(|state| state.trim() == "live")
    };
    Ok(names.filter(live).collect())
}

/// `/proc/kallsyms`: `address type name [module]`.
fn tags(lines: impl Iterator<Item = String>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in lines {
        let tag = line.rsplit_once('[').and_then(|(_, tag)| tag.strip_suffix(']'));
        if let Some(name) = tag.filter(|name| is_module(name))
            && !names.contains(name)
        {
            names.insert(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{first_words, tags};

    #[test]
    fn names_are_read_from_both_lists() {
        let listed = "dummy 16384 0 - Live 0x0000000000000000\nold 1 0 - Unloading 0x0\n";
        assert_eq!(first_words(listed).into_iter().collect::<Vec<_>>(), ["dummy"]);
        let symbols = "0 t init [dummy]\n0 T start\n0 t bpf_prog_1 [bpf]\n0 t more [other]\n";
        assert_eq!(
            tags(symbols.lines().map(str::to_owned)).into_iter().collect::<Vec<_>>(),
            ["dummy", "other"]
        );
    }
}
