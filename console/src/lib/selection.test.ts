import { expect, test } from 'vitest';

import type { EventRow, Highlight } from '../api/types';
import { lit, ofEvent, ofHighlight, ofProcess } from './selection';

const highlight = (key: string, process: string, events: string[]): Highlight => ({
  key, events, process_uid: process, process_name: null, time: '2026-01-01T00:00:00Z', matched: [], count: 1,
  detection: { id: key, title: key, layer: 'filter', level: 'low', techniques: [], tactics: [] },
});
const event = (id: string, process: string): EventRow => ({
  id, time: '2026-01-01T00:00:00Z', class: 'process.exec', endpoint: 'e', host: null, fields: { 'process.uid': process },
});
const highlights = [highlight('h1', 'p1', ['e1', 'e2']), highlight('h2', 'p1', ['e3']), highlight('h3', 'p2', ['e4'])];
const events = [event('e1', 'p1'), event('e2', 'p1'), event('e3', 'p1'), event('e4', 'p2'), event('e5', 'p3')];

function check(sel: string | undefined) {
  const shown = lit(sel, highlights, events);
  return [[...shown.highlights], shown.process, [...shown.events]];
}

test('a highlight lights its process and its activities', () => {
  expect(check(ofHighlight('h1'))).toEqual([['h1'], 'p1', ['e1', 'e2']]);
});
test('a process lights all its highlights and activities', () => {
  expect(check(ofProcess('p1'))).toEqual([['h1', 'h2'], 'p1', ['e1', 'e2', 'e3']]);
});
test('an activity lights what stands on it', () => {
  expect(check(ofEvent('e4'))).toEqual([['h3'], 'p2', ['e4']]);
  expect(check(ofEvent('e5'))).toEqual([[], 'p3', ['e5']]);
});
test('nothing, and what is not there, lights nothing', () => {
  expect(check(undefined)).toEqual([[], undefined, []]);
  expect(check(ofHighlight('gone'))).toEqual([[], undefined, []]);
  expect(check('junk')).toEqual([[], undefined, []]);
});
