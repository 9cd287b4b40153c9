import { expect, test } from 'vitest';

import { age, clock, interval, stamp } from './time';

test('exact times, by zone, to the millisecond', () => {
  expect(stamp('2026-11-21T14:02:11.120456789Z', 'utc')).toBe('2026-11-21 14:02:11.120');
  expect(clock('2026-11-21T23:02:11.12+09:00', 'utc')).toBe('14:02:11.120');
  expect(stamp('not a time', 'utc')).toBe('not a time');
});

test.each([
  [5, 'second', 5],
  [59, 'second', 59],
  [60, 'minute', 1],
  [3599, 'minute', 59],
  [7200, 'hour', 2],
  [90_000, 'day', 1],
  [-10, 'second', 0],
])('%i s ago', (seconds, unit, value) => {
  const now = Date.parse('2026-11-21T12:00:00Z');
  expect(age(new Date(now - seconds * 1000).toISOString(), now)).toEqual({ unit, value });
});

test('a range ends at the next whole second, so that equal asks are equal', () => {
  expect(interval('15m', Date.parse('2026-11-21T12:00:00.400Z'))).toEqual({
    from: '2026-11-21T11:45:01.000Z',
    to: '2026-11-21T12:00:01.000Z',
  });
});
