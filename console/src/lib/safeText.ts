// Telemetry is hostile text. Characters that hide, reorder or break a line are turned into visible
// escapes, so that what an analyst reads is what the bytes say.
// Invariant: joining the `source` of the pieces gives back the text.

export interface Piece {
  /** What stands in the text. */
  source: string;
  /** What to show. */
  shown: string;
  kind: 'plain' | 'escape';
}

/** Code points that are not shown as they are, as [first, last]. */
const HIDDEN: [number, number][] = [
  [0x00, 0x1f], // C0
  [0x7f, 0xa0], // DEL, C1, no-break space
  [0xad, 0xad], // soft hyphen
  [0x34f, 0x34f], // grapheme joiner
  [0x61c, 0x61c], // Arabic letter mark
  [0x115f, 0x1160], // Hangul fillers
  [0x1680, 0x1680], // Ogham space
  [0x17b4, 0x17b5], // Khmer inherent vowels
  [0x180b, 0x180f], // Mongolian selectors
  [0x2000, 0x200f], // spaces, zero-width, direction marks
  [0x2028, 0x202f], // separators, embeddings, overrides
  [0x205f, 0x206f], // invisible operators, isolates
  [0x3000, 0x3000], // ideographic space
  [0x3164, 0x3164], // Hangul filler
  [0xd800, 0xdfff], // lone surrogates
  [0xfe00, 0xfe0f], // variation selectors
  [0xfeff, 0xfeff], // byte order mark
  [0xffa0, 0xffa0], // half-width Hangul filler
  [0xfff0, 0xfffb], // interlinear marks
  [0x1d173, 0x1d17a], // musical format marks
  [0xe0000, 0xe0fff], // tags, more variation selectors
];

function isHidden(char: string): boolean {
  const code = char.codePointAt(0) ?? 0;
  return HIDDEN.some(([first, last]) => code >= first && code <= last);
}

const SHORT: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\0': '\\0' };

function escape(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  return SHORT[char] ?? `\\u{${code.toString(16).padStart(4, '0')}}`;
}

/** Splits `text` into plain and escaped pieces. */
export function pieces(text: string): Piece[] {
  const out: Piece[] = [];
  for (const char of text) {
    const last = out[out.length - 1];
    if (isHidden(char)) out.push({ source: char, shown: escape(char), kind: 'escape' });
    else if (last?.kind === 'plain') {
      last.source += char;
      last.shown = last.source;
    } else out.push({ source: char, shown: char, kind: 'plain' });
  }
  return out;
}

/** `text` with everything hidden made visible, for titles and labels. */
export function visible(text: string): string {
  return pieces(text)
    .map((piece) => piece.shown)
    .join('');
}
