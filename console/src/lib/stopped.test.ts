import type { TFunction } from 'i18next';
import { expect, test } from 'vitest';

import { neverStopped } from './stopped';

const t = ((key: string, more?: { level?: string }) => (more?.level ? `${key}(${more.level})` : key)) as TFunction;

test('a level to stop at is offered only where none was given', () => {
  expect(neverStopped({ stop_at: null }, t)).toBe('recordings/neverStopped recordings/stopHint');
  expect(neverStopped({ stop_at: 'critical' }, t)).toBe('recordings/neverStoppedFrom(level/critical)');
  // A report of before it was kept: nobody knows.
  expect(neverStopped({}, t)).toBe('recordings/neverStopped');
});
