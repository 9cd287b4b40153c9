// Every language says everything; every key that the pages use exists; no bare words in pages.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

import { en } from './en';
import { ja } from './ja';

function flatten(words: object, prefix = ''): Map<string, string> {
  const out = new Map<string, string>();
  for (const [key, value] of Object.entries(words)) {
    if (typeof value === 'string') out.set(prefix + key, value);
    else for (const [inner, text] of flatten(value as object, `${prefix}${key}/`)) out.set(inner, text);
  }
  return out;
}

const english = flatten(en);
const SRC = join(process.cwd(), 'src');
const pages = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.tsx?$/u.test(name) && !/\.test\.|i18n\/|schema\.d/u.test(name))
  .map((name) => ({ name, text: readFileSync(join(SRC, name), 'utf8') }));

test('Japanese has the same keys and the same places for values', () => {
  const japanese = flatten(ja);
  expect([...japanese.keys()]).toEqual([...english.keys()]);
  const holes = (text: string) => [...text.matchAll(/\{\{\w+\}\}/gu)].map(String).sort();
  for (const [key, text] of english) {
    if (key.endsWith('_one')) continue;
    expect([key, holes(japanese.get(key) ?? '')]).toEqual([key, holes(text)]);
  }
});

test('every key used exists', () => {
  const exists = (key: string) => english.has(key) || english.has(`${key}_other`);
  const used = pages.flatMap((page) =>
    [...page.text.matchAll(/\bt\(\s*'([^']+)'/gu), ...page.text.matchAll(/[?:] '((?:\w+\/)+\w+)'/gu)].map((match) => match[1] ?? ''),
  );
  expect(used.length).toBeGreaterThan(100);
  expect(used.filter((key) => !exists(key) && key.split('/')[0] !== 'application')).toEqual([]);
});

test('no page holds bare words', () => {
  const found: string[] = [];
  // Names that are the same in every language.
  const fine = new Set(['Metsuke', 'English', '日本語']);
  for (const page of pages.filter((one) => one.name.endsWith('.tsx'))) {
    const file = ts.createSourceFile(page.name, page.text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
    const walk = (node: ts.Node) => {
      if (ts.isJsxText(node) && /\p{L}{2,}/u.test(node.text) && !fine.has(node.text.trim())) {
        found.push(`${page.name}: ${node.text.trim()}`);
      }
      ts.forEachChild(node, walk);
    };
    walk(file);
  }
  expect(found).toEqual([]);
});

test('no page makes HTML from text', () => {
  for (const page of pages) expect(page.text, page.name).not.toMatch(/innerHTML|dangerouslySet|insertAdjacentHTML|document\.write/u);
});
