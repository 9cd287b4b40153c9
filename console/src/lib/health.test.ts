import { expect, test } from 'vitest';

import type { HealthPoint } from '../api/types';
import { cpuShare, draw, level, lost, rate } from './health';

const START = Date.parse('2026-11-22T00:00:00Z');
const point = (minute: number, more: Partial<HealthPoint>): HealthPoint => ({
  time: new Date(START + minute * 60_000).toISOString(),
  cpu_ms: null,
  rss_bytes: null,
  lag_ms: null,
  spool_bytes: null,
  lost_total: null,
  events_total: null,
  degraded: 0,
  ...more,
});
const values = (spots: { value: number | null }[]) => spots.map((one) => one.value);

test('CPU time is a share of one core, and unknown over a restart or silence', () => {
  const points = [point(0, { cpu_ms: 1000 }), point(1, { cpu_ms: 1600 }), point(2, { cpu_ms: 100 }), point(3, { cpu_ms: 700 }), point(63, { cpu_ms: 36_700 })];
  expect(values(cpuShare(points, 1))).toEqual([1, null, 1, null]);
  expect(values(cpuShare(points, 30))).toEqual([1, null, 1, 1]);
});

test('activities are counted per second, and unknown where the sensor started anew or said no number', () => {
  const points = [0, 120, 720, 60, null, 90].map((events_total, minute) => point(minute, { events_total }));
  expect(values(rate(points, 1))).toEqual([2, 10, null, null, null]);
});

test('what was lost is counted once, also when the sensor starts anew', () => {
  const points = [5, 5, 9, 2, 2].map((lost_total, minute) => point(minute, { lost_total }));
  expect(values(lost(points))).toEqual([0, 4, 2, 0]);
  expect(values(lost([point(0, {}), point(1, { lost_total: 3 }), point(2, {})]))).toEqual([3, null]);
});

test('a line breaks where nothing was said', () => {
  const points = [point(0, { rss_bytes: 1 }), point(1, { rss_bytes: 2 }), point(9, { rss_bytes: 4 })];
  const spots = level(points, 'rss_bytes', 1);
  expect(values(spots)).toEqual([1, 2, null, 4]);
  const line = draw(spots, [START, START + 540_000], [90, 40]);
  expect(line).toEqual({ path: 'M0.0 30.0h0L10.0 20.0M90.0 0.0h0', last: 4, most: 4 });
  expect(draw([], [0, 1], [90, 40])).toEqual({ path: '', last: null, most: null });
  expect(draw([{ time: 0, value: 0 }], [0, 1], [90, 40]).path).toBe('M0.0 40.0h0');
});
