// A small, safe subset of Markdown for detection pages: headings, paragraphs, lists, code, links as
// text. No HTML is ever made from text; unknown marks stay as they are.
import type { ReactNode } from 'react';

import { SafeText } from './Val';

export type Block =
  | { kind: 'heading'; depth: number; text: string }
  | { kind: 'text'; text: string }
  | { kind: 'list'; items: string[] }
  | { kind: 'code'; text: string };

/** Splits a page into blocks. */
export function blocks(source: string): Block[] {
  const out: Block[] = [];
  let code: string[] | undefined;
  let open: 'text' | 'list' | undefined;
  for (const line of source.split(/\r?\n/u)) {
    if (line.startsWith('```')) {
      if (code) out.push({ kind: 'code', text: code.join('\n') });
      code = code ? undefined : [];
      open = undefined;
      continue;
    }
    if (code) {
      code.push(line);
      continue;
    }
    const heading = /^(#{1,4})\s+(.*)$/u.exec(line);
    const item = /^\s*[-*]\s+(.*)$/u.exec(line);
    const last = out[out.length - 1];
    if (line.trim() === '') open = undefined;
    else if (heading) {
      out.push({ kind: 'heading', depth: heading[1]?.length ?? 1, text: heading[2] ?? '' });
      open = undefined;
    } else if (item) {
      if (open === 'list' && last?.kind === 'list') last.items.push(item[1] ?? '');
      else out.push({ kind: 'list', items: [item[1] ?? ''] });
      open = 'list';
    } else if (open === 'text' && last?.kind === 'text') last.text += ` ${line.trim()}`;
    else if (open === 'list' && last?.kind === 'list') {
      last.items[last.items.length - 1] += ` ${line.trim()}`;
    } else {
      out.push({ kind: 'text', text: line.trim() });
      open = 'text';
    }
  }
  if (code) out.push({ kind: 'code', text: code.join('\n') });
  return out;
}

/** Code, emphasis and link text within a line. */
function inline(text: string): ReactNode[] {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\([^)]+\))/u).map((part, index) => {
    if (part.startsWith('`') && part.endsWith('`') && part.length > 2) {
      return <code key={index}><SafeText text={part.slice(1, -1)} /></code>;
    }
    if (part.startsWith('**') && part.endsWith('**') && part.length > 4) {
      return <strong key={index}><SafeText text={part.slice(2, -2)} /></strong>;
    }
    const link = /^\[([^\]]+)\]\(([^)]+)\)$/u.exec(part);
    if (link) return <SafeText key={index} text={`${link[1]} (${link[2]})`} />;
    return <SafeText key={index} text={part} />;
  });
}

interface Props {
  source: string;
  /** Which rank its headings have where it stands; the first rank is the page's own. */
  rank?: 'h2' | 'h3';
}

export function Markdown({ source, rank: Heading = 'h3' }: Props) {
  return (
    <div className="prose">
      {blocks(source).map((block, index) => {
        switch (block.kind) {
          case 'heading':
            return <Heading key={index}>{inline(block.text)}</Heading>;
          case 'text':
            return <p key={index}>{inline(block.text)}</p>;
          case 'list':
            return <ul key={index}>{block.items.map((item, at) => <li key={at}>{inline(item)}</li>)}</ul>;
          case 'code':
            return <pre key={index} tabIndex={0}>{block.text.split('\n').map((line, at) => <span key={at}><SafeText text={line} />{'\n'}</span>)}</pre>;
        }
      })}
    </div>
  );
}
