//! What the guarding parent says to the sensor, a line each, over the pipe that is its standard
//! input; and what the sensor answers over its standard output: [`BEAT`] when it is well.
//!
//! Invariant: a line that cannot be read is passed over; nothing in it is a command.

use metsuke_event::Timestamp;

/// The sensor's sign of life.
pub const BEAT: u8 = b'b';
/// The longest line, in bytes.
pub const LINE_MAX: usize = 4_096;

/// What was done to the sensor, in an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Why, for example `stopped`, `restarted`.
    pub reason: String,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Whether somebody did it on purpose, as far as that shows.
    pub suspicion: Suspicion,
    /// For people.
    pub detail: String,
}

/// Whether something looks like tampering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// It does.
    Tampering,
    /// It may be a fault or load.
    None,
}

impl Word {
    /// As a line.
    pub fn line(&self) -> String {
        let suspicion = match self.suspicion {
            Suspicion::Tampering => "tampering",
            Suspicion::None => "none",
        };
        let flat = |text: &str| text.replace(['\t', '\n', '\r'], " ");
        let (from, to) = (self.from.as_nanos(), self.to.as_nanos());
        let (reason, detail) = (flat(&self.reason), flat(&self.detail));
        let mut line = format!("{reason}\t{from}\t{to}\t{suspicion}\t{detail}");
        while line.len() >= LINE_MAX {
            line.pop();
        }
        line.push('\n');
        line
    }

    /// From a line, with or without its end.
    pub fn parse(line: &str) -> Option<Self> {
        let mut parts = line.trim_end_matches('\n').splitn(5, '\t');
        let mut next = || parts.next();
        let reason = next()?.to_owned();
        let from = Timestamp::from_nanos(next()?.parse().ok()?);
        let to = Timestamp::from_nanos(next()?.parse().ok()?);
        let suspicion = match next()? {
            "tampering" => Suspicion::Tampering,
            _ => Suspicion::None,
        };
        Some(Self { reason, from, to, suspicion, detail: next()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use metsuke_event::Timestamp;

    use super::{LINE_MAX, Suspicion, Word};

    #[test]
    fn a_word_survives_its_line_and_cannot_forge_another() {
        let word = Word {
            reason: "restarted".to_owned(),
            from: Timestamp::from_nanos(-5),
            to: Timestamp::from_nanos(7),
            suspicion: Suspicion::Tampering,
            detail: "a\nb\tc".to_owned(),
        };
        let line = word.line();
        assert_eq!(line.matches('\n').count(), 1);
        let read = Word::parse(&line).expect("reads");
        assert_eq!(read, Word { detail: "a b c".to_owned(), ..word.clone() });
        let long = Word { detail: "ü".repeat(LINE_MAX), ..word };
        assert!(long.line().len() <= LINE_MAX && Word::parse(&long.line()).is_some());
        for broken in ["", "a", "a\tb\t1\tnone\td", "a\t1\t2\tnone"] {
            assert_eq!(Word::parse(broken), None, "{broken}");
        }
    }
}
