import { expect, test } from 'vitest';

import { safeNext } from './next';

test.each([
  [undefined, '/'],
  ['/alerts?level=high', '/alerts?level=high'],
  ['//evil.example', '/'],
  ['/\\evil.example', '/'],
  ['https://evil.example', '/'],
  ['javascript:alert(1)', '/'],
  ['/sign-in?next=/', '/'],
])('after sign-in, %s leads to %s', (next, wanted) => {
  expect(safeNext(next)).toBe(wanted);
});
