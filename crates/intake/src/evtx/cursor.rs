//! Reading little-endian numbers out of bytes that may end anywhere.

/// Bytes and a place in them. Invariant: never reads beyond their end; says so instead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(crate) at: usize,
}

/// Why binary XML cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It ends before its time.
    Short,
    /// No token has this number.
    Token(u8, usize),
    /// Deeper than event schemas go.
    Deep,
    /// A template that stands in itself, or nowhere.
    Template,
    /// More templates than a chunk can hold.
    Templates,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short => f.write_str("its binary XML ends too early"),
            Self::Token(token, at) => {
                write!(f, "its binary XML has an unknown token 0x{token:02x} at {at} of the chunk")
            }
            Self::Deep => f.write_str("its binary XML is nested too deeply"),
            Self::Template => f.write_str("its template cannot be read"),
            Self::Templates => f.write_str("its chunk defines more templates than it has room for"),
        }
    }
}

pub(crate) type Read<T> = Result<T, Broken>;

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// From `at` to `end` of `bytes`.
    pub(crate) fn within(bytes: &'a [u8], at: usize, end: usize) -> Self {
        Self { bytes: &bytes[..end.min(bytes.len())], at }
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(crate) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count).ok_or(Broken::Short)?;
        let taken = self.bytes.get(self.at..end).ok_or(Broken::Short)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Broken::Short)
    }

    pub(crate) fn u8(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u32_at(&self, at: usize) -> Option<u32> {
        Self { at, ..*self }.u32().ok()
    }

    pub(crate) fn u64_at(&self, at: usize) -> Option<u64> {
        Self { at, ..*self }.array().map(u64::from_le_bytes).ok()
    }
}
