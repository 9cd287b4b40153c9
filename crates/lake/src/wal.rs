//! The writer of the write-ahead log: one thread, group commit, segments.
//!
//! Invariants: an answer is given only after `fdatasync`; what was answered is in the view before
//! the answer; segment numbers grow and are never used twice; a group is written whole or refused
//! whole.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use metsuke_event::LossInterval;
use tokio::sync::{mpsc, oneshot};

use crate::error::LakeError;
use crate::frame::{Prepared, end_frame, schema_frame};
use crate::lake::HighWater;
use crate::view::Shared;

/// Most bytes written before one `fdatasync`: bounds the wait of the first in the group.
const GROUP_BYTES: usize = 16 << 20;

/// One append, ready to be written.
pub(crate) struct Append {
    pub(crate) frames: Vec<Prepared>,
    pub(crate) marks: HighWater,
    pub(crate) losses: Vec<LossInterval>,
    pub(crate) reply: oneshot::Sender<Result<(), LakeError>>,
}

pub(crate) enum Command {
    Append(Append),
    /// Finish the segment in use; answers with the last finished one.
    Seal(oneshot::Sender<u64>),
}

/// The way to the writer.
#[derive(Debug)]
pub(crate) struct Wal {
    commands: mpsc::Sender<Command>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Wal {
    /// Starts the writer; its first segment will be `next`.
    pub(crate) fn start(
        dir: &Path,
        next: u64,
        (queue, segment_bytes): (usize, u64),
        shared: Arc<Shared>,
    ) -> Result<Self, LakeError> {
        let (commands, inbox) = mpsc::channel(queue.max(1));
        let writer = Writer { dir: dir.to_owned(), next, segment_bytes, open: None, shared };
        let thread = std::thread::Builder::new()
            .name("lake-wal".to_owned())
            .spawn(move || writer.run(inbox))
            .map_err(|source| LakeError::io("start the writer of", dir, source))?;
        Ok(Self { commands, thread: std::sync::Mutex::new(Some(thread)) })
    }

    pub(crate) async fn append(
        &self,
        frames: Vec<Prepared>,
        marks: HighWater,
        losses: Vec<LossInterval>,
    ) -> Result<(), LakeError> {
        let (reply, answer) = oneshot::channel();
        let append = Append { frames, marks, losses, reply };
        self.commands.send(Command::Append(append)).await.map_err(|_| LakeError::Closed)?;
        answer.await.map_err(|_| LakeError::Closed)?
    }

    pub(crate) async fn seal(&self) -> Result<u64, LakeError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Seal(reply)).await.map_err(|_| LakeError::Closed)?;
        answer.await.map_err(|_| LakeError::Closed)
    }

    /// Waits for the writer's thread once nobody can send any more.
    pub(crate) fn take_thread(&self) -> Option<JoinHandle<()>> {
        self.thread.lock().ok().and_then(|mut thread| thread.take())
    }
}

/// The path of segment `number`.
pub(crate) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.seg"))
}

/// Makes the names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), LakeError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| LakeError::io("make durable", dir, source))
}

struct Open {
    file: File,
    path: PathBuf,
    number: u64,
    index: u64,
    durable: u64,
}

struct Writer {
    dir: PathBuf,
    next: u64,
    segment_bytes: u64,
    open: Option<Open>,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        let mut waiting = None;
        loop {
            let Some(command) = waiting.take().or_else(|| inbox.blocking_recv()) else { break };
            match command {
                Command::Seal(reply) => {
                    self.seal();
                    let _ = reply.send(self.next - 1);
                }
                Command::Append(first) => {
                    let mut bytes: usize = first.frames.iter().map(Prepared::len).sum();
                    let mut group = vec![first];
                    while bytes < GROUP_BYTES {
                        match inbox.try_recv() {
                            Ok(Command::Append(append)) => {
                                bytes += append.frames.iter().map(Prepared::len).sum::<usize>();
                                group.push(append);
                            }
                            Ok(other) => {
                                waiting = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.commit(group, bytes);
                }
            }
        }
        self.seal();
    }

    /// Writes a group, publishes it, answers each.
    fn commit(&mut self, group: Vec<Append>, bytes: usize) {
        match self.write(&group, bytes) {
            Ok(number) => {
                let mut replies = Vec::with_capacity(group.len());
                let mut batches = Vec::new();
                let mut marks = HighWater::new();
                let mut losses = Vec::new();
                for append in group {
                    batches.extend(append.frames.into_iter().map(|frame| frame.batch));
                    for (key, seq) in append.marks {
                        let mark = marks.entry(key).or_default();
                        *mark = seq.max(*mark);
                    }
                    losses.extend(append.losses);
                    replies.push(append.reply);
                }
                self.shared.publish(number, batches, &marks, losses);
                for reply in replies {
                    let _ = reply.send(Ok(()));
                }
            }
            Err(error) => {
                tracing::warn!(%error, appends = group.len(), "append refused");
                for append in group {
                    let _ = append.reply.send(Err(self.alike(&error)));
                }
            }
        }
    }

    /// The error once more, for each append of the group.
    fn alike(&self, error: &LakeError) -> LakeError {
        let again = |source: &std::io::Error| match source.raw_os_error() {
            Some(code) => std::io::Error::from_raw_os_error(code),
            None => std::io::Error::new(source.kind(), source.to_string()),
        };
        match error {
            LakeError::NoSpace { path, source } => {
                LakeError::NoSpace { path: path.clone(), source: again(source) }
            }
            LakeError::Io { action, path, source } => {
                LakeError::Io { action, path: path.clone(), source: again(source) }
            }
            other => {
                let source = std::io::Error::other(other.to_string());
                LakeError::Io { action: "write", path: self.dir.clone(), source }
            }
        }
    }

    fn write(&mut self, group: &[Append], bytes: usize) -> Result<u64, LakeError> {
        if self.open.as_ref().is_some_and(|open| open.durable >= self.segment_bytes) {
            self.seal();
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        let mut buffer = Vec::with_capacity(bytes);
        let mut index = open.index;
        for frame in group.iter().flat_map(|append| &append.frames) {
            frame.write_to(&mut buffer, open.number, index);
            index += 1;
        }
        if let Err(source) = open.file.write_all(&buffer) {
            let error = LakeError::io("write", &open.path, source);
            // Cut back to what is durable; if that fails too, this segment is left as it is.
            if open.file.set_len(open.durable).is_ok() {
                self.open = Some(open);
            }
            return Err(error);
        }
        if let Err(source) = open.file.sync_data() {
            // After a failed fdatasync nobody knows what the disk holds: never write here again.
            let error = LakeError::io("make durable", &open.path, source);
            let _ = open.file.set_len(open.durable);
            return Err(error);
        }
        open.index = index;
        open.durable += buffer.len() as u64;
        self.shared.set_wal_bytes(open.number, open.durable);
        let number = open.number;
        self.open = Some(open);
        Ok(number)
    }

    fn begin(&mut self) -> Result<Open, LakeError> {
        let number = self.next;
        let path = segment_path(&self.dir, number);
        let frame = schema_frame(number).map_err(LakeError::arrow("write a schema"))?;
        let made = (|| {
            let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
            file.write_all(&frame)?;
            Ok(file)
        })();
        let file = match made {
            Ok(file) => file,
            Err(source) => {
                let _ = std::fs::remove_file(&path);
                return Err(LakeError::io("begin the segment", &path, source));
            }
        };
        self.next += 1;
        sync_dir(&self.dir)?;
        Ok(Open { file, path, number, index: 1, durable: frame.len() as u64 })
    }

    fn seal(&mut self) {
        if let Some(mut open) = self.open.take() {
            let frame = end_frame(open.number, open.index);
            let ended = open.file.write_all(&frame).and_then(|()| open.file.sync_data());
            if let Err(error) = ended {
                // Only the mark of a clean end is missing; every event of it is durable.
                tracing::debug!(%error, path = %open.path.display(), "no end mark");
                let _ = open.file.set_len(open.durable);
            }
        }
    }
}
