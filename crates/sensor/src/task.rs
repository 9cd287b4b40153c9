//! The one door to tasks of the runtime: each has a name and an owner, and its end is looked at.

use anyhow::Context;
use tokio::task::JoinHandle;

/// A task.
#[derive(Debug)]
pub(crate) struct Task {
    name: &'static str,
    handle: JoinHandle<()>,
    over: bool,
}

impl Task {
    /// Starts `body`; `name` is how people are told of it, with its article.
    #[expect(clippy::disallowed_methods, reason = "the door")]
    pub(crate) fn start(
        name: &'static str,
        body: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self { name, handle: tokio::spawn(body), over: false }
    }

    /// How people are told of it.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Waits for its end. May be dropped and called again.
    ///
    /// # Errors
    /// When it ended by a panic; told once.
    pub(crate) async fn end(&mut self) -> anyhow::Result<()> {
        if self.over {
            return Ok(());
        }
        let end = (&mut self.handle).await;
        self.over = true;
        end.with_context(|| format!("{} broke down", self.name))
    }
}
