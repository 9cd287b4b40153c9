// Telemetry is hostile text. Characters that hide, reorder or break a line are turned into visible
// escapes, so that what an analyst reads is what the bytes say.
// Invariant: joining the pieces' `source` gives back the text.

export interface Piece {
  /** What stands in the text. */
  source: string;
  /** What to show. */
  shown: string;
  kind: 'plain' | 'escape';
}

// C0, DEL, C1, soft hyphen, Arabic letter mark, zero-width and bidi marks, line and paragraph
// separators, unusual spaces, variation selectors, tags, interlinear marks, lone surrogates.
const HIDDEN =
  /[\u0000-\u001f\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]|\p{Cs}/gu;

const SHORT: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\0': '\\0' };

function escape(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  return SHORT[char] ?? `\\u{${code.toString(16).padStart(4, '0')}}`;
}

/** Splits `text` into plain and escaped pieces. */
export function pieces(text: string): Piece[] {
  const out: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > end) {
      const source = text.slice(end, match.index);
      out.push({ source, shown: source, kind: 'plain' });
    }
    out.push({ source: match[0], shown: escape(match[0]), kind: 'escape' });
    end = match.index + match[0].length;
  }
  if (end < text.length) {
    const source = text.slice(end);
    out.push({ source, shown: source, kind: 'plain' });
  }
  return out;
}

/** `text` with everything hidden made visible, for titles and labels. */
export function visible(text: string): string {
  return pieces(text)
    .map((piece) => piece.shown)
    .join('');
}
