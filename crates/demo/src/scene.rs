//! The stage: a folder of its own with a home, imitation secrets and logs, and what runs on it.
//!
//! Invariant: everything written lies under [`Scene::root`], which whoever laid it out removes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::seed::Choices;
use crate::truth::{Expectation, Scenario, StepTruth};

/// One step before it ran.
#[derive(Clone, Debug)]
pub struct Step {
    /// Short name.
    pub name: &'static str,
    /// Tactics a detector may rightly give it, the main one first.
    pub tactics: &'static [&'static str],
    /// Techniques it imitates.
    pub techniques: &'static [&'static str],
    /// Shell lines; external commands go through `r`.
    pub script: Vec<String>,
}

impl Step {
    /// What a detector must say about it.
    pub fn expectation(&self) -> Expectation {
        Expectation {
            step: self.name.to_owned(),
            tactics: owned(self.tactics),
            techniques: owned(self.techniques),
        }
    }

    /// The record of it, once it ran.
    pub fn truth(
        &self,
        started: metsuke_event::Timestamp,
        processes: Vec<crate::truth::ProcessTruth>,
    ) -> StepTruth {
        StepTruth {
            name: self.name.to_owned(),
            tactics: owned(self.tactics),
            techniques: owned(self.techniques),
            started,
            ended: crate::truth::now(),
            processes,
        }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Ports of the far side.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Gives and takes files.
    pub http: u16,
    /// Takes shells that call back.
    pub shell: u16,
}

/// The folder a scenario plays in.
#[derive(Debug)]
pub struct Scene {
    /// Everything lies under it.
    pub root: PathBuf,
    /// The home of the imitated user.
    pub home: PathBuf,
    /// Imitation logs.
    pub logs: PathBuf,
    /// Where the intruder keeps his files (hidden), or the ordinary user his project.
    pub work: PathBuf,
}

impl Scene {
    /// Lays out the stage for `scenario` under a new folder in `place`, or, without one, where
    /// such things happen: a temporary folder for the intrusion, the home for the twin.
    ///
    /// This is the director's work, not the actor's: it happens outside the watched group.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn lay_out(scenario: Scenario, seed: u64, place: Option<&Path>) -> Result<Self> {
        let names = Names::draw(&mut Choices::new(seed));
        let (prefix, usual) = match scenario {
            Scenario::Intrusion => (format!(".{}-", names.root), PathBuf::from(names.place)),
            Scenario::Twin => (
                format!("{}-", names.root),
                std::env::home_dir()
                    .filter(|home| home.is_dir())
                    .unwrap_or_else(std::env::temp_dir),
            ),
        };
        let place = place.unwrap_or(&usual);
        let root = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(place)
            .with_context(|| format!("making a folder in {}", place.display()))?
            .keep();
        let (scene, _) = Self::at(root, scenario, seed);
        scene.furnish(scenario)?;
        Ok(scene)
    }

    /// The stage that was laid out at `root`, with the choices that are left for the steps.
    pub fn at(root: PathBuf, scenario: Scenario, seed: u64) -> (Self, Choices) {
        let mut choices = Choices::new(seed);
        let names = Names::draw(&mut choices);
        let work = match scenario {
            Scenario::Intrusion => root.join(format!(".{}", names.work)),
            Scenario::Twin => root.join("home/project"),
        };
        (Self { home: root.join("home"), logs: root.join("var/log"), work, root }, choices)
    }

    fn furnish(&self, scenario: Scenario) -> Result<()> {
        fs::create_dir_all(&self.work)?;
        let (home, logs) = (&self.home, &self.logs);
        write(&home.join("project/main.c"), "int main(void) { return 0; }\n", 0o644)?;
        write(&home.join("project/logo.bin"), &"logo".repeat(300), 0o644)?;
        write(&logs.join("build.log"), "built\n", 0o640)?;
        if scenario == Scenario::Twin {
            return Ok(());
        }
        let imitation = "imitation, protects nothing";
        write(&home.join(".bashrc"), "# ~/.bashrc\nalias ll='ls -l'\n", 0o644)?;
        write(&home.join(".profile"), "# ~/.profile\n", 0o644)?;
        write(&home.join(".bash_history"), "ls\ncd project\n", 0o600)?;
        let credentials = format!("[default]\naws_access_key_id = {imitation}\n");
        write(&home.join(".aws/credentials"), &credentials, 0o600)?;
        write(&home.join(".ssh/id_ed25519"), &format!("{imitation}\n"), 0o600)?;
        write(&home.join(".ssh/authorized_keys"), "", 0o600)?;
        write(&home.join("documents/plan.txt"), &"quarterly plan\n".repeat(200), 0o644)?;
        write(&logs.join("auth.log"), &"session opened for user demo\n".repeat(40), 0o640)
    }

    /// Removes everything; nothing happens when it is gone already.
    pub fn remove(&self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// The first names drawn from a seed.
struct Names {
    root: String,
    place: &'static str,
    work: String,
}

impl Names {
    fn draw(choices: &mut Choices) -> Self {
        let root = choices.name();
        let place = *choices.pick(&["/tmp", "/var/tmp"]);
        Self { root, place, work: choices.name() }
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(())
}
