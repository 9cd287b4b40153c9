import { expect, test } from 'vitest';

import { clause, complete, narrow, quote, spotAt } from './query';

/** `|` marks the caret. */
function at(marked: string) {
  const caret = marked.indexOf('|');
  return spotAt(marked.replace('|', ''), caret);
}

test.each([
  ['|', 'field', '', undefined],
  ['proc|', 'field', 'proc', undefined],
  ['user:ro|', 'value', 'ro', 'user'],
  ['user:root AND ex|', 'field', 'ex', undefined],
  ['user:"two wo|', 'value', 'two wo', 'user'],
  ['class:(process.exec OR fi|', 'value', 'fi', 'class'],
  ['(us|', 'field', 'us', undefined],
  ['pid:>=1|', 'value', '1', 'pid'],
])('at %s: %s %j of %s', (marked, kind, prefix, field) => {
  expect(at(marked)).toMatchObject({ kind, prefix, ...(field ? { field } : {}) });
});

test.each([
  ['bash', 'bash'],
  ['/usr/bin/curl', '/usr/bin/curl'],
  ['two words', '"two words"'],
  ['say "x"', '"say \\"x\\""'],
  ['a\\b', '"a\\\\b"'],
  ['AND', '"AND"'],
  ['-rf', '"-rf"'],
  ['*', '"*"'],
  ['2001:db8::1', '"2001:db8::1"'],
  ['', '""'],
])('%j is written %s', (value, wanted) => {
  expect(quote(value)).toBe(wanted);
});

test('a completed field waits for its value, a completed value is quoted where it must be', () => {
  expect(complete('us', at('us|'), 'process.user.name')).toEqual({ text: 'process.user.name:', caret: 18 });
  expect(complete('host:a AND cmd:cu', at('host:a AND cmd:cu|'), 'curl -F x')).toEqual({
    text: 'host:a AND cmd:"curl -F x"',
    caret: 26,
  });
});

test('narrowing keeps what was asked', () => {
  expect(narrow('', 'host', 'a', 'in')).toBe('host:a');
  expect(narrow('x', 'host', 'a', 'out')).toBe('x AND NOT host:a');
  expect(narrow('a OR b', 'host', 'a', 'in')).toBe('(a OR b) AND host:a');
  expect(narrow('"a OR b"', 'host', 'a', 'in')).toBe('"a OR b" AND host:a');
  expect(narrow('x AND host:a', 'host', 'a', 'in')).toBe('x AND host:a');
  expect(clause('cmd', 'a b')).toBe('cmd:"a b"');
});
