//! What can go wrong, and the exit code each has. The table in the README is this file.

use std::process::ExitCode;

/// The exit code after a Ctrl-C, as shells have it (128 and the signal's number).
pub(crate) const INTERRUPTED: u8 = 130;

/// A command that did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The question was wrong in a way the argument parser could not see.
    #[error("{0}")]
    Usage(String),
    /// No token, or one that is not enough.
    #[error("{0}\nSign in with `metsuke login --url URL`, or set METSUKE_URL and METSUKE_TOKEN.")]
    NotAllowed(String),
    /// It is not there.
    #[error("{0}")]
    NotFound(String),
    /// The state of things forbids it.
    #[error("{0}")]
    Conflict(String),
    /// Nobody answers.
    #[error("no server answers at {url}: {source}\nIs it running? `./x run` starts one here.")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the network said.
        source: Box<ureq::Error>,
    },
    /// It answered, but not with what was asked for.
    #[error("{0}")]
    Server(String),
    /// Somebody pressed Ctrl-C, and what had been begun was put back.
    #[error("interrupted")]
    Interrupted,
    /// A file or the terminal.
    #[error("{doing}: {source}")]
    Local {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Failure {
    /// The exit code, as the README lists them.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Local { .. } => 1,
            Self::Usage(_) => 2,
            Self::NotAllowed(_) => 3,
            Self::NotFound(_) => 4,
            Self::Conflict(_) => 5,
            Self::Unreachable { .. } => 6,
            Self::Server(_) => 7,
            Self::Interrupted => INTERRUPTED,
        })
    }

    /// What a refusal of the server means to us.
    pub(crate) fn of_status(status: u16, problem: &serde_json::Value) -> Self {
        let detail = problem["detail"].as_str().unwrap_or("the server gave no reason");
        let hint = problem["hint"].as_str().map(|hint| format!("\n{hint}")).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or("-");
        let text = crate::output::clean(&format!("{detail}{hint} ({status} {code})"));
        match status {
            400 | 413 | 422 => Self::Usage(text),
            401 | 403 => Self::NotAllowed(text),
            404 => Self::NotFound(text),
            409 | 412 | 429 => Self::Conflict(text),
            _ => Self::Server(text),
        }
    }
}

impl Failure {
    /// Whether it is only that nobody reads the output any more, as with `| head`.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Local { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

impl From<std::io::Error> for Failure {
    fn from(source: std::io::Error) -> Self {
        Self::Local { doing: "writing the answer".to_owned(), source }
    }
}
