//! Names and values that come again and again: kept once, over chunks and files.

use std::collections::HashSet;

use metsuke_event::value::Text;

use crate::bounds;
use crate::windows::plain_name;

/// Texts kept for use again.
#[derive(Debug)]
pub(crate) struct Names {
    known: HashSet<Text>,
    /// Memory for the text at hand.
    buffer: String,
    pub(crate) provider: Text,
    pub(crate) user_id: Text,
    pub(crate) process_id: Text,
    pub(crate) thread_id: Text,
    pub(crate) data: Text,
    pub(crate) activity_id: Text,
    pub(crate) source: Text,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            known: HashSet::new(),
            buffer: String::new(),
            provider: "Provider_Name".into(),
            user_id: "UserID".into(),
            process_id: "Execution_ProcessID".into(),
            thread_id: "Execution_ThreadID".into(),
            data: "Data".into(),
            activity_id: "Correlation_ActivityID".into(),
            source: "EventSourceName".into(),
        }
    }
}

impl Names {
    /// `text`, kept; as a field's name, so without blanks.
    pub(crate) fn name(&mut self, text: &str) -> Text {
        match plain_name(text) {
            Some(plain) => self.kept(&plain),
            None => self.kept(text),
        }
    }

    /// `text`, kept.
    pub(crate) fn kept(&mut self, text: &str) -> Text {
        if let Some(known) = self.known.get(text) {
            return Text::clone(known);
        }
        let text: Text = text.into();
        if self.known.len() < bounds::NAMES {
            self.known.insert(Text::clone(&text));
        }
        text
    }

    /// UTF-16 as text; what is none becomes U+FFFD.
    pub(crate) fn wide(&mut self, bytes: &[u8]) -> Text {
        self.buffer.clear();
        wide(bytes, &mut self.buffer);
        self.buffer.as_str().into()
    }

    /// UTF-16 as a text that is kept.
    pub(crate) fn wide_name(&mut self, bytes: &[u8]) -> Text {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        wide(bytes, &mut buffer);
        let name = self.kept(&buffer);
        self.buffer = buffer;
        name
    }
}

/// Adds UTF-16 to `text`, at most [`bounds::TEXT_BYTES`] of it.
pub(crate) fn wide(bytes: &[u8], text: &mut String) {
    let (pairs, _) = bytes.as_chunks::<2>();
    // Nearly all of it is ASCII: one pass finds how far, and copies.
    let plain = pairs.iter().take_while(|pair| pair[1] == 0 && pair[0] < 0x80).count();
    text.reserve(pairs.len());
    text.extend(pairs[..plain].iter().map(|pair| char::from(pair[0])));
    let rest = pairs[plain..].iter().map(|pair| u16::from_le_bytes(*pair));
    for unit in char::decode_utf16(rest) {
        if text.len() >= bounds::TEXT_BYTES {
            break;
        }
        text.push(unit.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
}
