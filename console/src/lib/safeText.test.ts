import { expect, test } from 'vitest';

import { pieces, visible } from './safeText';

test.each([
  ['plain text, even 日本語 and é', 'plain text, even 日本語 and é'],
  ['invoice\u202Efdp.exe', 'invoice\\u{202e}fdp.exe'],
  ['a\nb\tc\r\0', 'a\\nb\\tc\\r\\0'],
  ['zero\u200Bwidth\uFEFF', 'zero\\u{200b}width\\u{feff}'],
  ['\u001b[31mred', '\\u{001b}[31mred'],
  ['tag\u{E0041}', 'tag\\u{e0041}'],
  ['lone \ud800 surrogate', 'lone \\u{d800} surrogate'],
  ['isolate\u2066x\u2069', 'isolate\\u{2066}x\\u{2069}'],
])('%j is shown as %j', (text, shown) => {
  expect(visible(text)).toBe(shown);
});

test('nothing is lost: the pieces are the text', () => {
  let text = '';
  for (let code = 0; code < 0x3100; code += 1) text += String.fromCodePoint(code);
  expect(pieces(text).map((piece) => piece.source).join('')).toBe(text);
});

test('no piece that is shown reorders or hides', () => {
  const marks = /[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u;
  for (let code = 0x2000; code < 0x2070; code += 1) {
    expect(visible(`a${String.fromCodePoint(code)}b`)).not.toMatch(marks);
  }
});
