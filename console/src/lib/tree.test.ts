import { expect, test } from 'vitest';

import type { TreeNode } from '../api/types';
import { ancestors, descendants, forestOf, rows } from './tree';

function node(uid: string, parent: string | null, start = '2026-01-01T00:00:00Z'): TreeNode {
  return {
    uid, parent_uid: parent, pid: Number(uid.replace(/\D/gu, '') || 0), name: uid, exe: null, cmd_line: null, cwd: null,
    user: null, sha256: null, start, end: null, exit_code: null, hits: [], counts: { file: 0, network: 0, dns: 0 }, in_scope: true,
  };
}

const shape = (nodes: TreeNode[], closed: string[] = []) =>
  rows(forestOf(nodes), new Set(closed)).map((row) => `${'.'.repeat(row.depth)}${row.node.uid}`);

test('children stand below their parents, by start', () => {
  expect(
    shape([node('c', 'a', '2026-01-01T00:00:02Z'), node('b', 'a', '2026-01-01T00:00:01Z'), node('a', null), node('d', 'b')]),
  ).toEqual(['a', '.b', '..d', '.c']);
});

test('a closed process hides what is below it', () => {
  expect(shape([node('a', null), node('b', 'a'), node('c', 'b')], ['b'])).toEqual(['a', '.b']);
});

test('a process whose parent is missing is a root', () => {
  expect(shape([node('b', 'gone')])).toEqual(['b']);
});

test('rings are cut and every process appears once', () => {
  expect(shape([node('p1', 'p2'), node('p2', 'p1'), node('p3', 'p3')]).map((x) => x.replace(/\./gu, '')).sort()).toEqual(['p1', 'p2', 'p3']);
});

test('a thousand rings and chains: every process once, and it ends', () => {
  const nodes = Array.from({ length: 1000 }, (_, i) => node(`p${i}`, `p${(i * 7 + 3) % 1000}`));
  const shown = rows(forestOf(nodes), new Set());
  expect(new Set(shown.map((row) => row.node.uid)).size).toBe(1000);
  expect(shown).toHaveLength(1000);
});

test('ancestors, nearest first; descendants counted', () => {
  const forest = forestOf([node('a', null), node('b', 'a'), node('c', 'b'), node('d', 'b')]);
  expect(ancestors(forest, 'c')).toEqual(['b', 'a']);
  expect(descendants(forest, 'a')).toBe(3);
});
