//! Executables without a name, and names that `ls` does not show.

use std::ffi::OsString;
use std::fs;

use metsuke_crossview::SubjectType::File;
use metsuke_testkit::table::{Outcome, Table, row};
use metsuke_testkit::{Cgroup, needs};

use crate::processes::HIDE;
use crate::support::{Sleeper, config, library, look, of_pid, only, works};

#[test]
fn a_running_executable_that_was_deleted_is_told() -> anyhow::Result<()> {
    needs!("a_running_executable_that_was_deleted_is_told", Root, Cgroup);
    let group = Cgroup::create("crossview")?;
    let folder = tempfile::tempdir()?;
    let run = |name: &str| -> anyhow::Result<Sleeper> {
        let path = folder.path().join(name);
        fs::copy("/bin/sleep", &path)?;
        let mut command = group.command(&path);
        command.arg("600");
        Sleeper::start(command, name)
    };
    let (gone, replaced, kept) = (run("gone")?, run("replaced")?, run("kept")?);
    fs::remove_file(folder.path().join("gone"))?;
    fs::copy("/bin/sleep", folder.path().join("new"))?;
    fs::rename(folder.path().join("new"), folder.path().join("replaced"))?;
    let report = look(&config(&group, &[File]))?;
    let found = only(&report, File, gone.pid());
    assert_eq!(found.technique, "deleted_executable");
    assert_eq!(found.subject, folder.path().join("gone").display().to_string());
    assert_eq!(only(&report, File, replaced.pid()).technique, "replaced_executable");
    assert!(of_pid(&report, File, kept.pid()).is_empty(), "{report:#?}");
    let reason = "file deleted_executable, with the path it had and the process; one that another \
                  file replaced is told apart";
    row(Table::Crossview, "running executable deleted", Outcome::Seen, reason);
    Ok(())
}

#[test]
fn a_file_hidden_from_ls_by_a_preloaded_library_is_told() -> anyhow::Result<()> {
    let test = "a_file_hidden_from_ls_by_a_preloaded_library_is_told";
    needs!(test, Root, Cgroup);
    let folder = tempfile::tempdir()?;
    let library = match library(HIDE, folder.path()) {
        Ok(library) => library,
        Err(reason) => {
            metsuke_testkit::not_run::not_run(test, &reason);
            return Ok(());
        }
    };
    let group = Cgroup::create("crossview")?;
    fs::write(folder.path().join("secret tool"), "")?;
    let mut config = config(&group, &[File]);
    config.directories = vec![folder.path().to_owned()];
    config.helper_environment = vec![
        (OsString::from("LD_PRELOAD"), library.into_os_string()),
        (OsString::from("HIDE"), OsString::from("secret tool")),
    ];
    let report = look(&config)?;
    if !works(&report, test, "ls") {
        return Ok(());
    }
    let told: Vec<_> = report.discrepancies.iter().map(|found| found.subject.clone()).collect();
    assert_eq!(told, [folder.path().join("secret tool").display().to_string()]);
    assert_eq!(report.discrepancies[0].technique, "preload");
    let reason = "file preload: getdents64 lists it, ls does not";
    row(Table::Crossview, "LD_PRELOAD hiding a file from ls", Outcome::Seen, reason);
    Ok(())
}
