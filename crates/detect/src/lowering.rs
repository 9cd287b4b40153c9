//! Values in lower case, written one behind the other.

use metsuke_event::ValueRef;

use crate::bounds;

/// Adds the value in lower case, cut at [`bounds::VALUE_BYTES`].
pub(crate) fn lower_into(arena: &mut String, value: ValueRef<'_>) {
    match value {
        ValueRef::Text(text) => lower_text_into(arena, text),
        ValueRef::U64(number) => push_number(arena, number),
        other => lower_text_into(arena, &other.to_text()),
    }
}

/// Adds the value as it is, cut at [`bounds::VALUE_BYTES`].
pub(crate) fn push_into(arena: &mut String, value: ValueRef<'_>) {
    match value {
        ValueRef::Text(text) => arena.push_str(cut(text, bounds::VALUE_BYTES)),
        ValueRef::U64(number) => push_number(arena, number),
        other => arena.push_str(cut(&other.to_text(), bounds::VALUE_BYTES)),
    }
}

/// Adds a number's digits.
fn push_number(arena: &mut String, number: u64) {
    let mut digits = [0_u8; 20];
    let mut left = number;
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + u8::try_from(left % 10).unwrap_or(0);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    arena.extend(digits[from..].iter().map(|digit| char::from(*digit)));
}

/// Adds `text` in lower case, cut at [`bounds::VALUE_BYTES`].
pub(crate) fn lower_text_into(arena: &mut String, text: &str) {
    let text = cut(text, bounds::VALUE_BYTES);
    let mut left = text;
    loop {
        // What is not ASCII stands alone mostly (a sign for a trade mark, an accent).
        let ascii = ascii_length(left.as_bytes());
        let (plain, rest) = left.split_at(ascii);
        let start = arena.len();
        arena.push_str(plain);
        arena[start..].make_ascii_lowercase();
        let mut chars = rest.chars();
        let Some(other) = chars.next() else { return };
        arena.extend(other.to_lowercase());
        left = chars.as_str();
    }
}

/// Number of ASCII bytes at the beginning.
fn ascii_length(bytes: &[u8]) -> usize {
    const HIGH: u128 = u128::from_ne_bytes([0x80; 16]);
    let (chunks, rest) = bytes.as_chunks();
    let plain = |chunk: &&[u8; 16]| u128::from_ne_bytes(**chunk) & HIGH == 0;
    let whole = chunks.iter().take_while(plain).count();
    let from = chunks.get(whole).map_or(rest, |chunk| chunk);
    whole * 16 + from.iter().take_while(|byte| byte.is_ascii()).count()
}

/// Whether lower-casing the ASCII letters of `text` lower-cases all of it.
pub(crate) fn is_lowered_in_place(text: &str) -> bool {
    let mut left = text;
    loop {
        let mut chars = left[ascii_length(left.as_bytes())..].chars();
        let Some(other) = chars.next() else { return true };
        // Signs of Latin-1 (a trade mark, a degree) are most of what is met, and have no case.
        if other >= '\u{c0}' && !other.to_lowercase().eq([other]) {
            return false;
        }
        left = chars.as_str();
    }
}

/// `text` cut at `limit` bytes, at a character's edge.
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}
