//! The files to look through: found, opened, told apart and read in pieces.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use metsuke_intake::evtx::{self, CHUNK_BYTES, CHUNK_HEADER_BYTES, ChunkHeader, HEADER_BYTES};
use metsuke_intake::{Format, Lines, Output, Place, Problem, Record, bounds};
use zip::ZipArchive;

use crate::command::detect::order::Window;
use crate::command::detect::progress::Progress;
use crate::command::detect::summary::Summary;
use crate::failure::Failure;

/// Files of one run; more are a mistake in what was named.
const MAX_FILES: usize = 1_000_000;
/// Files in one zip.
const ZIP_FILES: usize = 100_000;
/// Bytes that one file of a zip may unpack to. It is read in pieces, so this bounds time alone: a
/// bomb of 16 MB ends here after some minutes.
const UNPACKED_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// Bytes by which a file is told.
const HEAD_BYTES: usize = 4_096;

/// A file, and whether it was named itself and not only its folder.
struct Named {
    path: PathBuf,
    itself: bool,
}

/// What takes records: files one after the other, the records of each in order.
pub(crate) trait Sink {
    /// Begins another file, called `path`; of one in a zip that is the zip's, `!` and its own.
    fn begin(&mut self, path: &str) -> io::Result<()>;

    /// Takes a record of the file called `path`.
    fn take(&mut self, path: &str, record: Record) -> io::Result<()>;
}

/// What to look through.
pub(crate) struct Files {
    list: Vec<Named>,
    bytes: u64,
}

/// Everything that reading needs.
struct Reading<'r> {
    format: Format,
    lookout: &'r mut dyn Sink,
    summary: &'r mut Summary,
    progress: Progress,
    evtx: evtx::Reader,
    lines: Lines,
    out: Output,
}

impl Files {
    pub(crate) fn below(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut files = Self { list: Vec::new(), bytes: 0 };
        for path in paths {
            files.collect(path, true)?;
        }
        if files.list.is_empty() {
            return Err(Failure::NotFound("no file in what --input names".to_owned()));
        }
        Ok(files)
    }

    /// Folders in the order of their names; links below what was named are not followed.
    fn collect(&mut self, path: &Path, itself: bool) -> Result<(), Failure> {
        let local = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound if itself => {
                Failure::NotFound(format!("no {}", path.display()))
            }
            _ => Failure::Local { doing: format!("reading {}", path.display()), source },
        };
        let facts = if itself { fs::metadata(path) } else { fs::symlink_metadata(path) };
        let facts = facts.map_err(local)?;
        if facts.is_dir() {
            let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(local)?.collect();
            let mut below: Vec<PathBuf> =
                entries.map_err(local)?.into_iter().map(|entry| entry.path()).collect();
            below.sort();
            for path in below {
                self.collect(&path, false)?;
            }
        } else if facts.is_file() {
            if self.list.len() >= MAX_FILES {
                return Err(Failure::Usage(format!("more than {MAX_FILES} files")));
            }
            self.bytes += facts.len();
            self.list.push(Named { path: path.to_owned(), itself });
        } else if itself {
            return Err(Failure::Usage(format!("{} is no regular file", path.display())));
        }
        Ok(())
    }

    /// Reads every file into `lookout`; what cannot be read is told to `summary`.
    ///
    /// # Errors
    /// Only when the findings cannot be written.
    pub(crate) fn read(
        &self,
        format: Format,
        lookout: &mut dyn Sink,
        summary: &mut Summary,
    ) -> io::Result<()> {
        let mut reading = Reading {
            format,
            lookout,
            summary,
            progress: Progress::of(self.bytes),
            evtx: evtx::Reader::new(),
            lines: Lines::new(format),
            out: Output::default(),
        };
        for named in &self.list {
            reading.file(named)?;
        }
        reading.progress.end();
        Ok(())
    }
}

/// What a file begins with says it is.
enum Content {
    Zip,
    Evtx,
    Lines,
    /// None of what can be read, with the reason.
    Other(&'static str),
}

impl Reading<'_> {
    fn file(&mut self, named: &Named) -> io::Result<()> {
        let name = named.path.display().to_string();
        let mut head = vec![0; HEAD_BYTES];
        let opened = File::open(&named.path).and_then(|file| {
            let read = file.read_at(&mut head, 0)?;
            let size = file.metadata()?.len();
            Ok((file, read, size))
        });
        let (file, read, size) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.problem(&name, Place::File, error.to_string());
                return Ok(());
            }
        };
        head.truncate(read);
        match self.told(&head, named.itself) {
            Content::Zip => self.zip(&name, file, size),
            Content::Evtx => self.windows_log(&name, &file, size),
            Content::Lines => {
                self.begin(&name)?;
                let outcome = self.lines(&name, BufReader::with_capacity(256 * 1024, file), size);
                self.progress.settle();
                outcome
            }
            Content::Other(reason) => {
                self.other(&name, reason, named.itself);
                self.progress.advance(size);
                Ok(())
            }
        }
    }

    fn begin(&mut self, name: &str) -> io::Result<()> {
        self.summary.files += 1;
        self.lookout.begin(name)
    }

    fn told(&self, head: &[u8], itself: bool) -> Content {
        if head.starts_with(b"PK\x03\x04") {
            return Content::Zip;
        }
        if self.format.is_evtx(head) {
            return Content::Evtx;
        }
        if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
            return Content::Other("UTF-16 text; convert it to UTF-8");
        }
        if head.contains(&0) {
            return Content::Other("no format that is known");
        }
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        let likely = matches!(text.first(), None | Some(b'{' | b'['))
            || memchr::memmem::find(head, b"msg=audit(").is_some();
        // What was named itself, or said to be of a format, is read as it was meant.
        if likely || itself || self.format != Format::Auto {
            Content::Lines
        } else {
            Content::Other("no format that is known")
        }
    }

    /// A file that cannot be read: bad news when it was asked for, else just left out.
    fn other(&mut self, name: &str, reason: &str, itself: bool) {
        if itself {
            self.problem(name, Place::File, reason.to_owned());
        } else {
            self.summary.skip(name, reason);
        }
    }

    fn problem(&mut self, name: &str, place: Place, reason: String) {
        self.summary.problem(name, &Problem { place, reason });
    }

    /// Gives on what was read.
    fn pass(&mut self, name: &str) -> io::Result<()> {
        for problem in self.out.problems.drain(..) {
            self.summary.problem(name, &problem);
        }
        for record in self.out.records.drain(..) {
            self.lookout.take(name, record)?;
        }
        Ok(())
    }

    /// Gives on what was read, by way of `window`; the records are of a line of so many bytes.
    fn order(&mut self, name: &str, window: &mut Window, bytes: usize) -> io::Result<()> {
        for problem in self.out.problems.drain(..) {
            self.summary.problem(name, &problem);
        }
        for record in self.out.records.drain(..) {
            window.push(record, bytes);
        }
        while let Some(record) = window.overflow() {
            self.lookout.take(name, record)?;
        }
        Ok(())
    }

    /// Chunks in the order of their records: a full log begins again at its first chunk.
    fn windows_log(&mut self, name: &str, file: &File, size: u64) -> io::Result<()> {
        self.begin(name)?;
        if let Err(reason) = evtx_header(file) {
            self.problem(name, Place::File, reason);
            self.progress.advance(size);
            return Ok(());
        }
        let mut order = Vec::new();
        let (mut offset, mut last) = (HEADER_BYTES as u64, 0);
        let mut head = [0; CHUNK_HEADER_BYTES];
        while offset < size {
            let read = file.read_at(&mut head, offset).unwrap_or(0);
            last = ChunkHeader::read(&head[..read]).map_or(last, |header| header.first);
            order.push((last, offset));
            offset += CHUNK_BYTES as u64;
        }
        order.sort_unstable();
        let mut chunk = vec![0; CHUNK_BYTES];
        for (_, offset) in order {
            let read = match read_full(file, &mut chunk, offset) {
                Ok(read) => read,
                Err(error) => {
                    self.problem(name, Place::Offset(offset), error.to_string());
                    continue;
                }
            };
            self.evtx.chunk(offset, &chunk[..read], &mut self.out);
            self.pass(name)?;
            self.progress.advance(read as u64);
        }
        self.progress.settle();
        Ok(())
    }

    fn zip(&mut self, name: &str, file: File, size: u64) -> io::Result<()> {
        let mut archive = match ZipArchive::new(BufReader::new(file)) {
            Ok(archive) => archive,
            Err(error) => {
                self.problem(name, Place::File, format!("broken zip: {error}"));
                self.progress.advance(size);
                return Ok(());
            }
        };
        if archive.len() > ZIP_FILES {
            let reason = format!("more than {ZIP_FILES} files; the rest is not read");
            self.problem(name, Place::File, reason);
        }
        for index in 0..archive.len().min(ZIP_FILES) {
            let entry = match archive.by_index(index) {
                Ok(entry) => entry,
                Err(error) => {
                    self.problem(name, Place::File, format!("its file {index}: {error}"));
                    continue;
                }
            };
            if !entry.is_file() {
                continue;
            }
            let inner = entry.name().map_or_else(|_| index.to_string(), |name| name.to_string());
            let packed = entry.compressed_size();
            self.packed(&format!("{name}!{inner}"), entry, packed)?;
        }
        self.progress.settle();
        Ok(())
    }

    fn packed(&mut self, name: &str, entry: impl Read, packed: u64) -> io::Result<()> {
        let mut entry = entry.take(UNPACKED_BYTES);
        let mut head = Vec::with_capacity(HEAD_BYTES);
        if let Err(error) = (&mut entry).take(HEAD_BYTES as u64).read_to_end(&mut head) {
            self.problem(name, Place::File, error.to_string());
            return Ok(());
        }
        let content = self.told(&head, false);
        let whole = BufReader::with_capacity(256 * 1024, Cursor::new(head).chain(entry));
        match content {
            Content::Zip => self.summary.skip(name, "a zip in a zip is not opened"),
            Content::Evtx => {
                self.begin(name)?;
                self.packed_log(name, whole)?;
            }
            Content::Lines => {
                self.begin(name)?;
                self.lines(name, whole, 0)?;
            }
            Content::Other(reason) => self.summary.skip(name, reason),
        }
        self.progress.advance(packed);
        Ok(())
    }

    /// A log in a zip: its chunks as they come.
    fn packed_log(&mut self, name: &str, mut whole: impl BufRead) -> io::Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        let mut offset = 0_u64;
        let mut piece = HEADER_BYTES;
        loop {
            chunk.clear();
            let read = (&mut whole).take(piece as u64).read_to_end(&mut chunk);
            if let Err(error) = &read {
                self.problem(name, Place::Offset(offset), error.to_string());
            }
            if chunk.is_empty() {
                return Ok(());
            }
            if offset > 0 {
                self.evtx.chunk(offset, &chunk, &mut self.out);
                self.pass(name)?;
            }
            if read.is_err() || chunk.len() < piece {
                return Ok(());
            }
            offset += piece as u64;
            piece = CHUNK_BYTES;
        }
    }

    fn lines(&mut self, name: &str, mut text: impl BufRead, size: u64) -> io::Result<()> {
        let mut line = Vec::new();
        let mut window = Window::default();
        loop {
            let read = next_line(&mut text, &mut line);
            match read {
                Ok(0) => break,
                Ok(read) => {
                    self.lines.line(&line, &mut self.out);
                    self.order(name, &mut window, read)?;
                    if size > 0 {
                        self.progress.advance(read as u64);
                    }
                }
                Err(error) => {
                    self.problem(name, Place::File, format!("it ends early: {error}"));
                    break;
                }
            }
        }
        self.lines.end(&mut self.out);
        self.order(name, &mut window, 0)?;
        while let Some(record) = window.pop() {
            self.lookout.take(name, record)?;
        }
        Ok(())
    }
}

/// Reads a line without its end into `line`, at most a byte more than is ever read of one; the rest
/// of it is passed over. The number of bytes taken; 0 at the end.
fn next_line(text: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    line.clear();
    let mut taken = 0;
    loop {
        let piece = text.fill_buf()?;
        if piece.is_empty() {
            return Ok(taken);
        }
        let end = memchr::memchr(b'\n', piece);
        let part = &piece[..end.unwrap_or(piece.len())];
        let room = (bounds::LINE_BYTES + 1).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        text.consume(used);
        taken += used;
        if end.is_some() {
            return Ok(taken);
        }
    }
}

fn evtx_header(file: &File) -> Result<(), String> {
    let mut head = vec![0; HEADER_BYTES];
    let read = read_full(file, &mut head, 0).map_err(|error| error.to_string())?;
    if !head[..read].starts_with(evtx::MAGIC) {
        return Err("no Windows event log: its header is missing".to_owned());
    }
    if read < HEADER_BYTES {
        return Err(format!("a Windows event log cut short, at {read} bytes"));
    }
    Ok(())
}

/// Fills `buffer` from `offset` on, as far as the file goes.
fn read_full(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
