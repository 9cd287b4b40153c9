import { renderToStaticMarkup } from 'react-dom/server';
import { expect, test } from 'vitest';

import { blocks, Markdown } from './Markdown';

test('blocks of a page', () => {
  expect(blocks('# A\n\ntext\nmore\n- one\n- two\n  still two\n\n```\ncode *x*\n```\n')).toEqual([
    { kind: 'heading', depth: 1, text: 'A' },
    { kind: 'text', text: 'text more' },
    { kind: 'list', items: ['one', 'two still two'] },
    { kind: 'code', text: 'code *x*' },
  ]);
});

test('markup in a page stays text, links are not followed', () => {
  const html = renderToStaticMarkup(<Markdown source={'<img src=x onerror=alert(1)> [go](javascript:alert(1)) **b** `c`'} />);
  expect(html).not.toMatch(/<img|<a /u);
  expect(html).toContain('&lt;img');
  expect(html).toContain('go (javascript:alert(1)');
  expect(html).toContain('<strong>');
});
