import { expect, test } from 'vitest';

import { asOwn, condition, exactly, freshId, offer } from './sigma';

const FIELDS = [{ name: 'process.cmd_line', doc: 'Command line.', aliases: ['CommandLine', 'cmd'] }];
const TEXT = ['title: X', 'logsource:', '  cat', 'detection:', '  one:', '    Comm', '    Image|ends', 'level: h', '# lev'];

function labels(line: number): string[] {
  const text = TEXT[line] ?? '';
  const found = offer(TEXT, line, text.length, FIELDS);
  return found ? [`${found.from}:${found.written}`, ...found.options.map((one) => one.label)] : [];
}

test('what may stand at the caret follows from where it stands', () => {
  expect(labels(2)).toEqual(['2:cat', 'category', 'product', 'service']);
  expect(labels(5)).toEqual(['4:Comm', 'condition', 'CommandLine', 'process.cmd_line']);
  expect(labels(6).slice(0, 3)).toEqual(['10:ends', 'contains', 'startswith']);
  expect(labels(7)).toEqual(['7:h', 'informational', 'low', 'medium', 'high', 'critical']);
  expect(labels(8)).toEqual([]);
  expect(offer(['le'], 0, 2, FIELDS)?.options.map((one) => one.label)).toContain('level');
});

test('a value becomes a condition that matches only itself', () => {
  expect(exactly("it's a *")).toBe("'it''s a \\*'");
  expect(exactly('C:\\x?')).toBe("'C:\\\\x\\?'");
  expect(condition('Image', '/bin/sh')).toBe("Image: '/bin/sh'");
  expect(exactly('a\nb')).toBe("'a?b'");
});

test('a copy has an id and a title of its own', () => {
  expect(asOwn('title: A\nid: old\nname: a\nlevel: low\n', 'new', '(copy)')).toBe('title: A (copy)\nid: new\nlevel: low\n');
  expect(asOwn("title: 'A: b'\nlevel: low\n", 'new', '(copy)')).toBe("id: new\ntitle: 'A: b (copy)'\nlevel: low\n");
  expect(freshId()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/u);
  expect(freshId()).not.toBe(freshId());
});
