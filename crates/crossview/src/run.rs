//! A look: two passes, and what stays.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use metsuke_event::Timestamp;

use crate::compare::{Difference, RULES, differences, lasting};
use crate::config::{Config, Scope};
use crate::host::{Groups, Pace};
use crate::kernel::Iterators;
use crate::mounts::{self, Namespaces};
use crate::report::{MAX_TOLD, Report, ViewReport};
use crate::view::{Pass, SubjectType};
use crate::{files, modules, objects, processes, raw, sockets};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum CrossviewError {
    /// The scope is no control group.
    #[error("{path} is no readable control group; name an existing directory of the hierarchy")]
    Scope {
        /// What was given.
        path: std::path::PathBuf,
        /// Why it cannot be read.
        #[source]
        source: std::io::Error,
    },
}

/// Looks at the host twice and tells what differs both times.
///
/// Blocks for both passes and the pause between them; the host's state as seen from the mount and
/// pid namespaces of the calling thread.
///
/// # Errors
/// When the scope is none. What cannot be looked at is said in the report.
pub fn run(config: &Config) -> Result<Report, CrossviewError> {
    if let Scope::Cgroup(path) = &config.scope {
        std::fs::read(path.join("cgroup.procs"))
            .map_err(|source| CrossviewError::Scope { path: path.clone(), source })?;
    }
    let begun = Instant::now();
    let cpu = raw::cpu_ms();
    let iterators = Iterators::load();
    let (first, _) = pass(config, &iterators);
    let before = differences(&first, RULES);
    drop(first);
    std::thread::sleep(config.gap);
    let (second, groups) = pass(config, &iterators);
    let mut told = lasting(&before, differences(&second, RULES));
    told.retain(|difference| in_scope(config, &groups, difference));
    let left_out = told.len().saturating_sub(MAX_TOLD) as u64;
    told.truncate(MAX_TOLD);
    Ok(Report {
        taken: now(),
        scope: match &config.scope {
            Scope::Host => "host".to_owned(),
            Scope::Cgroup(path) => path.display().to_string(),
        },
        views: second.views.iter().map(ViewReport::of).collect(),
        discrepancies: told.into_iter().map(Into::into).collect(),
        left_out,
        duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        cpu_ms: raw::cpu_ms().saturating_sub(cpu),
    })
}

fn pass(config: &Config, iterators: &Iterators) -> (Pass, Groups) {
    let groups = Groups::walk(&config.scope);
    let namespaces = Namespaces::read(&mut Pace::default());
    let mut pass = Pass::default();
    for subject in &config.subjects {
        pass.add(match subject {
            SubjectType::Process => processes::look(config, iterators, &groups, &namespaces),
            SubjectType::Module => modules::look(iterators),
            SubjectType::Socket => sockets::look(iterators, &groups),
            SubjectType::File => files::look(config),
            SubjectType::Mount => mounts::look(&namespaces),
            SubjectType::Bpf => objects::look(iterators, &namespaces),
        });
    }
    (pass, groups)
}

fn in_scope(config: &Config, groups: &Groups, difference: &Difference) -> bool {
    if config.scope == Scope::Host {
        return true;
    }
    match &difference.subject.process {
        Some(process) => {
            let group = process.cgroup.or_else(|| groups.of_process(process.pid));
            groups.holds(group)
        }
        None => difference.of == SubjectType::File,
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_nanos(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}
