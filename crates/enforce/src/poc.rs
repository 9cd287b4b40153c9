//! The proof-of-coverage exercise: a unique harmless executable, dropped, renamed and copied in a
//! folder of its own; one copy is run, one never. Afterwards the fleet is asked where its hash is.
//!
//! Invariant: what is done is compiled in. From outside comes the plan's id and nothing else; the
//! executable is the host's own `true(1)` with that id appended, so it does nothing and its hash is
//! nobody else's. Invariant: nothing is touched outside the exercise's folder.
//!
//! Every step is a process of its own within the sensor's scope, so the probe sees it like anybody
//! else's.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use metsuke_event::id::PlanId;
use metsuke_respond::PocTruth;
use sha2::{Digest, Sha256};

/// The harmless program.
const PROGRAM: &str = "/bin/true";
/// Largest program taken, in bytes; coreutils' has 40,000, a static one a million.
const PROGRAM_MAX: u64 = 16 << 20;
/// Joins the control group named by the first argument, then becomes the rest.
const JOIN: &str = r#"echo 0 > "$0/cgroup.procs" && exec "$@""#;

/// Why the exercise did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum PocError {
    /// A file cannot be made or removed.
    #[error("cannot {what} {path}: {source}; check that the folder is writable and has room")]
    File {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A step failed.
    #[error("the step `{step}` failed: {reason}")]
    Step {
        /// Which.
        step: &'static str,
        /// Why.
        reason: String,
    },
}

/// Where the exercise takes place.
#[derive(Clone, Debug)]
pub struct PocPlace {
    /// Folder that holds one folder per exercise.
    pub dir: PathBuf,
    /// Control group in which the steps run; `None` for the sensor's own.
    pub cgroup: Option<PathBuf>,
    /// The sensor's own program, which makes the executable (`poc-drop PLAN PATH`).
    pub sensor: PathBuf,
}

fn file_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PocError {
    let path = path.to_owned();
    move |source| PocError::File { what, path, source }
}

impl PocPlace {
    fn folder(&self, plan: PlanId) -> PathBuf {
        self.dir.join(plan.to_string())
    }

    /// Whether the exercise `plan` left anything.
    pub fn exists(&self, plan: PlanId) -> bool {
        self.folder(plan).exists()
    }

    /// Carries the exercise out and tells the truth about it.
    ///
    /// # Errors
    /// When a step fails; what was made by then is removed.
    pub fn run(&self, plan: PlanId) -> Result<PocTruth, PocError> {
        let result = self.steps(plan);
        if result.is_err() {
            // The first error is the one that counts.
            let _ = self.clean(plan);
        }
        result
    }

    fn steps(&self, plan: PlanId) -> Result<PocTruth, PocError> {
        let folder = self.folder(plan);
        let names = names(plan);
        let [dropped, renamed, run, idle] = names.map(|name| folder.join(name));
        for path in [&dropped, &renamed, &run, &idle] {
            let parent = path.parent().unwrap_or(&folder);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(parent)
                .map_err(file_error("create", parent))?;
        }
        let id = plan.to_string();
        self.step("drop", &[&self.sensor, Path::new("poc-drop"), Path::new(&id), &dropped])?;
        let sha256 = hash(&dropped)?;
        self.step("rename", &[Path::new("mv"), &dropped, &renamed])?;
        self.step("copy", &[Path::new("cp"), &renamed, &run])?;
        self.step("copy", &[Path::new("cp"), &renamed, &idle])?;
        self.step("run", &[&run])?;
        let mut paths = Vec::new();
        for path in [&renamed, &run, &idle] {
            if hash(path)? != sha256 {
                return Err(PocError::Step {
                    step: "check",
                    reason: format!("{} holds something else", path.display()),
                });
            }
            paths.push(text(path));
        }
        Ok(PocTruth {
            sha256,
            dropped: text(&dropped),
            paths,
            ran: text(&run),
            never_ran: text(&idle),
        })
    }

    fn step(&self, step: &'static str, argv: &[&Path]) -> Result<(), PocError> {
        let failed = |reason: String| PocError::Step { step, reason };
        let mut command = if let Some(cgroup) = &self.cgroup {
            let mut command = Command::new("/bin/sh");
            command.args(["-c", JOIN]).arg(cgroup).args(argv);
            command
        } else {
            let (program, arguments) =
                argv.split_first().ok_or_else(|| failed("no program".to_owned()))?;
            let mut command = Command::new(program);
            command.args(arguments);
            command
        };
        let output = command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().chars().take(300).collect();
        Err(failed(if String::is_empty(&said) { output.status.to_string() } else { said }))
    }

    /// Removes what the exercise `plan` left; returns the files that were removed. An exercise
    /// that left nothing is as good.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn clean(&self, plan: PlanId) -> Result<Vec<String>, PocError> {
        let folder = self.folder(plan);
        let mut removed = Vec::new();
        for name in names(plan) {
            let path = folder.join(name);
            match fs::remove_file(&path) {
                Ok(()) => removed.push(text(&path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(file_error("remove", &path)(error)),
            }
        }
        match fs::remove_dir_all(&folder) {
            Ok(()) => Ok(removed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(removed),
            Err(error) => Err(file_error("remove", &folder)(error)),
        }
    }
}

/// Writes the executable of `plan` to `path`: the body of the hidden command `poc-drop`.
///
/// # Errors
/// When the program cannot be read or the file not be made (it must not exist).
pub fn drop_executable(plan: PlanId, path: &Path) -> Result<(), PocError> {
    let program = Path::new(PROGRAM);
    let size = fs::metadata(program).map_err(file_error("read", program))?.len();
    if size > PROGRAM_MAX {
        return Err(PocError::Step { step: "drop", reason: format!("{PROGRAM} is too large") });
    }
    let mut bytes = fs::read(program).map_err(file_error("read", program))?;
    bytes.extend_from_slice(format!("\nmetsuke exercise {plan}\n").as_bytes());
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(path)
        .and_then(|mut file| file.write_all(&bytes))
        .map_err(file_error("write", path))
}

/// Where the four files stand in the exercise's folder: dropped, renamed, run, never run. Derived
/// from the plan's id, so that no two exercises look alike.
fn names(plan: PlanId) -> [PathBuf; 4] {
    let digest = hex(&Sha256::digest(plan.to_string()));
    let part = |index: usize| digest[index * 8..index * 8 + 8].to_owned();
    [
        PathBuf::from(part(0)),
        PathBuf::from(part(1)),
        PathBuf::from(part(2)).join(part(3)),
        PathBuf::from(part(4)).join(part(5)),
    ]
}

fn hash(path: &Path) -> Result<String, PocError> {
    let bytes = fs::read(path).map_err(file_error("read", path))?;
    Ok(hex(&Sha256::digest(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
