//! Bytes taken from the front, big-endian, as the network has them.

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.bytes(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.bytes(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(crate) fn u24(&mut self) -> Option<usize> {
        let bytes = self.bytes(3)?;
        Some(usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2]))
    }

    /// A vector whose length stands before it in one byte.
    pub(crate) fn short(&mut self) -> Option<Self> {
        let length = self.u8()?;
        self.bytes(usize::from(length)).map(Self)
    }

    /// A vector whose length stands before it in two bytes.
    pub(crate) fn long(&mut self) -> Option<Self> {
        let length = self.u16()?;
        self.bytes(usize::from(length)).map(Self)
    }

    /// The rest as words; an odd last byte is left out.
    pub(crate) fn words(mut self) -> Vec<u16> {
        let mut words = Vec::with_capacity(self.0.len() / 2);
        while let Some(word) = self.u16() {
            words.push(word);
        }
        words
    }
}
