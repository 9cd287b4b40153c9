//! Numbers and texts as bytes, for checkpoints: numbers as LEB128, texts with their length.
//!
//! Invariant: a reader allocates no more than what it was given has bytes for.

/// Something that is not as a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damaged;

/// Writes.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn number(&mut self, mut number: u128) {
        while number >= 0x80 {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push((number & 0x7f) as u8);
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.number(count as u128);
    }

    /// A signed number: small ones of either sign are short.
    pub(crate) fn signed(&mut self, number: i64) {
        let folded = number.cast_unsigned() << 1 ^ (number >> 63).cast_unsigned();
        self.number(u128::from(folded));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn texts<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t String>) {
        self.count(texts.len());
        for text in texts {
            self.text(text);
        }
    }

    /// Perhaps something: one byte, then it.
    pub(crate) fn perhaps<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// Reads what a [`Writer`] wrote.
#[derive(Debug)]
pub(crate) struct Reader<'b>(pub(crate) &'b [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.0.split_first().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*first)
    }

    fn wide(&mut self) -> Result<u128, Damaged> {
        let mut number = 0;
        for shift in (0..u128::BITS).step_by(7) {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7f);
            if part << shift >> shift != part {
                return Err(Damaged);
            }
            number |= part << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged)
    }

    pub(crate) fn number<N: TryFrom<u128>>(&mut self) -> Result<N, Damaged> {
        N::try_from(self.wide()?).map_err(|_| Damaged)
    }

    /// A count of things that each have a byte or more.
    pub(crate) fn count(&mut self, most: usize) -> Result<usize, Damaged> {
        let count = self.number::<usize>()?;
        if count > most || count > self.0.len() { Err(Damaged) } else { Ok(count) }
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Damaged> {
        let folded = self.number::<u64>()?;
        Ok((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    pub(crate) fn text(&mut self) -> Result<String, Damaged> {
        let length = self.count(usize::MAX)?;
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        std::str::from_utf8(text).map(str::to_owned).map_err(|_| Damaged)
    }

    pub(crate) fn texts(&mut self, most: usize) -> Result<Vec<String>, Damaged> {
        (0..self.count(most)?).map(|_| self.text()).collect()
    }

    pub(crate) fn perhaps<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Damaged>,
    ) -> Result<Option<T>, Damaged> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Damaged, Reader, Writer};

    proptest! {
        #[test]
        fn what_is_written_is_read(wide: u128, number: u64, signed: i64, text: String) {
            let mut writer = Writer::default();
            writer.number(wide);
            writer.number(u128::from(number));
            writer.signed(signed);
            writer.texts([&text, &text].into_iter());
            writer.perhaps(Some(&text), |writer, text| writer.text(text));
            writer.perhaps(None::<&str>, Writer::text);
            let mut reader = Reader(&writer.0);
            prop_assert_eq!(reader.number(), Ok(wide));
            prop_assert_eq!(reader.number(), Ok(number));
            prop_assert_eq!(reader.signed(), Ok(signed));
            prop_assert_eq!(reader.texts(2), Ok(vec![text.clone(), text.clone()]));
            prop_assert_eq!(reader.perhaps(Reader::text), Ok(Some(text)));
            prop_assert_eq!(reader.perhaps(Reader::text), Ok(None));
            prop_assert!(reader.0.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader(&bytes);
            while !reader.0.is_empty() {
                if reader.texts(9).is_err() || reader.signed().is_err() {
                    break;
                }
            }
            prop_assert_eq!(Reader(&[]).text(), Err(Damaged));
        }
    }
}
