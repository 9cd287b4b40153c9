import { expect, test } from 'vitest';

import type { Detection, Endpoint, TechniqueRow } from '../api/types';
import { heat, matrix, readNames, unable } from './matrix';

const detection = (id: string, techniques: string[], tactics: string[], enabled = true) =>
  ({ id, techniques, tactics, enabled }) as unknown as Detection;
const row = (id: string, count: number) => ({ id, name: `name of ${id}`, count, tactics: ['execution'] }) as unknown as TechniqueRow;
const endpoint = (judged: number, cannot: string[]) =>
  ({ coverage: { judged, cannot_fire: cannot.map((id) => ({ id, title: id, why: `no ${id}` })) } }) as unknown as Endpoint;

test('sub-techniques stand below their technique, and count for it', () => {
  const cells = matrix([row('T1059.004', 7), row('T1059', 2)], [detection('a', ['T1059.004'], ['execution'])], [], new Map());
  expect(cells.map((one) => [one.id, one.hits, one.inForce.length])).toEqual([['T1059', 9, 1]]);
  expect(cells[0]?.subs.map((one) => [one.id, one.hits])).toEqual([['T1059.004', 7]]);
});

test('a technique without a hit stands there by its detections in force; a parent that nobody names too', () => {
  const names = readNames('# names\nT1003 OS Credential Dumping\nT1003.008 /etc/passwd and /etc/shadow\n');
  const cells = matrix([], [detection('a', ['T1003.008'], ['credential-access']), detection('off', ['T1490'], ['impact'], false)], [], names);
  expect(cells.map((one) => [one.id, one.name, one.tactics, one.hits])).toEqual([['T1003', 'OS Credential Dumping', ['credential-access'], 0]]);
  expect(cells[0]?.subs[0]?.name).toBe('/etc/passwd and /etc/shadow');
});

test('of several tactics those that most detections mean', () => {
  const cells = matrix([], [detection('a', ['T1105'], ['command-and-control']), detection('b', ['T1105'], ['command-and-control', 'execution', 'impact'])], [], new Map());
  expect(cells[0]?.tactics).toEqual(['command-and-control']);
});

test('nothing here can fire it only when no endpoint that told can', () => {
  expect([...unable([endpoint(4, ['a', 'b']), endpoint(4, ['b']), endpoint(0, [])])]).toEqual([['b', 'no b']]);
  const all = [detection('a', ['T1'], ['impact']), detection('b', ['T1'], ['impact']), detection('b', ['T2'], ['impact'])];
  const cells = matrix([], all, [endpoint(4, ['b'])], new Map());
  expect(cells.map((one) => [one.id, one.cannot])).toEqual([['T1', undefined], ['T2', 'no b']]);
  expect([...unable([])]).toEqual([]);
});

test('heat goes by order of magnitude', () => {
  expect([0, 1, 10, 100, 10_000].map((value) => heat(value, 10_000))).toEqual([0, 1, 2, 3, 5]);
  expect(heat(1, 1)).toBe(5);
});
