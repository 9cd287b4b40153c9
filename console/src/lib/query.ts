// The query text as the field edits it: where the caret stands, what could be completed there,
// and how a value becomes a clause. The server parses; this only helps to write.

export interface Spot {
  kind: 'field' | 'value';
  /** The part to replace, as offsets into the text. */
  from: number;
  to: number;
  /** What stands there up to the caret. */
  prefix: string;
  /** The field whose value is being written. */
  field?: string;
}

const BOUNDARY = /[\s()]/u;

/** Start of the word at `caret`, quotes respected. */
function wordStart(text: string, caret: number): number {
  let start = 0;
  let quoted = false;
  for (let index = 0; index < caret; index += 1) {
    const char = text.charAt(index);
    if (char === '\\') {
      index += 1;
      continue;
    }
    if (char === '"') quoted = !quoted;
    else if (!quoted && BOUNDARY.test(char)) start = index + 1;
  }
  return start;
}

function wordEnd(text: string, caret: number): number {
  const rest = text.slice(caret).search(BOUNDARY);
  return rest < 0 ? text.length : caret + rest;
}

/** The nearest `field:(` that is still open before `start`. */
function openGroupField(text: string, start: number): string | undefined {
  const match = /([\w.@-]+):\(([^()]*)$/u.exec(text.slice(0, start));
  return match?.[1];
}

/** What is being written at `caret`. */
export function spotAt(text: string, caret: number): Spot {
  const from = wordStart(text, caret);
  const to = wordEnd(text, caret);
  const word = text.slice(from, caret);
  const colon = word.indexOf(':');
  if (colon > 0 && !word.startsWith('"')) {
    const operator = /^[<>]=?/u.exec(word.slice(colon + 1))?.[0] ?? '';
    const start = from + colon + 1 + operator.length;
    const prefix = text.slice(start, caret).replace(/^"/u, '');
    return { kind: 'value', from: start, to, prefix, field: word.slice(0, colon) };
  }
  const group = openGroupField(text, from);
  if (group) return { kind: 'value', from, to, prefix: word.replace(/^"/u, ''), field: group };
  return { kind: 'field', from, to, prefix: word };
}

const BARE = /^[\p{L}\p{N}_./-]+$/u;
const KEYWORD = /^(AND|OR|NOT|TO)$/u;

/** `value` as it has to be written in a query. */
export function quote(value: string): string {
  if (BARE.test(value) && !KEYWORD.test(value) && !value.startsWith('-')) return value;
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

export function clause(field: string, value: string): string {
  return `${field}:${quote(value)}`;
}

/** `query` narrowed to (`in`) or without (`out`) `field` = `value`. Saying it twice changes nothing. */
export function narrow(query: string, field: string, value: string, how: 'in' | 'out'): string {
  const wanted = how === 'in' ? clause(field, value) : `NOT ${clause(field, value)}`;
  const base = query.trim();
  if (base === '') return wanted;
  if (base === wanted || base.endsWith(` AND ${wanted}`) || base.startsWith(`${wanted} AND `)) {
    return base;
  }
  const needsParens = /\bOR\b/u.test(base.replace(/\([^()]*\)/gu, '').replace(/"[^"]*"/gu, ''));
  return `${needsParens ? `(${base})` : base} AND ${wanted}`;
}

/** `text` with the completion put in place, and where the caret then stands. */
export function complete(text: string, spot: Spot, pick: string): { text: string; caret: number } {
  const insert = spot.kind === 'field' ? `${pick}:` : quote(pick);
  const before = text.slice(0, spot.from) + insert;
  return { text: before + text.slice(spot.to), caret: before.length };
}
