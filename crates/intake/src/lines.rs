//! Lines of text: JSON of any form, and logs of auditd.

use crate::auditd::Joiner;
use crate::bounds;
use crate::format::Format;
use crate::json::Reader;
use crate::record::{Output, Place};

/// Reads the lines of one file after the other.
#[derive(Debug, Default)]
pub struct Lines {
    format: Format,
    json: Reader,
    audit: Joiner,
    line: u64,
}

impl Lines {
    /// For lines of `format`; EVTX has none.
    pub fn new(format: Format) -> Self {
        Self { format, ..Self::default() }
    }

    /// Reads the next line, without its end. One longer than [`bounds::LINE_BYTES`] is a problem,
    /// so nobody needs to hold more than that and a byte.
    pub fn line(&mut self, line: &[u8], out: &mut Output) {
        self.line += 1;
        let place = Place::Line(self.line);
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
        if line.is_empty() {
            return;
        }
        if line.len() > bounds::LINE_BYTES {
            let reason = format!("longer than {} bytes; it is not read", bounds::LINE_BYTES);
            return out.problem(place, reason);
        }
        match self.format {
            Format::Auditd => self.audit.line(self.line, line, out),
            Format::Auto if !matches!(line[0], b'{' | b'[' | b']' | b',') => {
                if memchr::memmem::find(line, b"msg=audit(").is_some() {
                    self.audit.line(self.line, line, out);
                } else {
                    out.problem(place, "neither JSON nor a record of auditd");
                }
            }
            format => self.json.line(format, self.line, unlisted(line), out),
        }
    }

    /// Ends a file: what was open is given out, and lines are counted anew.
    pub fn end(&mut self, out: &mut Output) {
        self.audit.end(out);
        self.line = 0;
    }
}

/// The object of a line that is part of a list of objects, one a line.
fn unlisted(line: &[u8]) -> &[u8] {
    if line[0] == b'{' && line[line.len() - 1] == b'}' {
        return line;
    }
    let start =
        line.iter().position(|byte| !matches!(byte, b'[' | b',' | b' ')).unwrap_or(line.len());
    let line = &line[start..];
    let end = line.iter().rposition(|byte| !matches!(byte, b',' | b' ')).map_or(0, |last| last + 1);
    match &line[..end] {
        [b'{', .., b'}', b']'] => &line[..end - 1],
        line => line,
    }
}
