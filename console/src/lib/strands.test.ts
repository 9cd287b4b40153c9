import { expect, test } from 'vitest';

import type { AlertSummary } from '../api/types';
import { alertsOf, strandsOf } from './strands';

const alert = (id: string, endpoint: string, storyline: string, score: number) => ({ id, endpoint, storyline, score, first: `2026-01-01T00:00:0${id}Z` }) as AlertSummary;
const ids = (alerts: AlertSummary[]) => strandsOf(alerts).map((strand) => alertsOf(strand).map((one) => one.id).join(''));

test('alerts of one storyline stand together, the heaviest first', () => {
  expect(ids([alert('1', 'a', 's', 20), alert('2', 'b', 't', 50), alert('3', 'a', 's', 90), alert('4', 'a', 's', 20)])).toEqual(['314', '2']);
});

test('a storyline is one of its host, and no storyline is no tie', () => {
  expect(ids([alert('1', 'a', 's', 20), alert('2', 'b', 's', 20)])).toEqual(['1', '2']);
  expect(ids([alert('1', 'a', '', 20), alert('2', 'a', '', 20)])).toEqual(['1', '2']);
});
