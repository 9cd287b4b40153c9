// What helps to write a detection: what could stand at the caret, and a value as a condition. The server
// reads and checks documents; this only helps to write them.

import { pieces } from './safeText';

export interface Named {
  name: string;
  doc: string;
  aliases: string[];
}

export interface Offer {
  /** Where the offers begin in the line, and what is already written from there. */
  from: number;
  written: string;
  options: { label: string; detail?: string; kind: 'key' | 'field' | 'modifier' | 'value' }[];
}

/** Sigma 2.1's modifiers, as docs/detections.md lists them. */
export const MODIFIERS = [
  'contains', 'startswith', 'endswith', 'all', 'cased', 'neq', 'exists', 're', 'cidr', 'lt', 'lte', 'gt', 'gte',
  'minute', 'hour', 'day', 'week', 'month', 'year', 'windash', 'base64', 'base64offset', 'wide', 'utf16', 'utf16le',
  'utf16be', 'fieldref', 'expand', 'i', 'm', 's',
];

const TOP = [
  'title', 'id', 'name', 'status', 'description', 'author', 'date', 'modified', 'references', 'tags', 'logsource',
  'detection', 'falsepositives', 'level', 'fields', 'related', 'correlation', 'sequence', 'first-seen', 'threshold', 'model',
];

const WITHIN: Record<string, string[]> = {
  logsource: ['category', 'product', 'service'],
  correlation: ['type', 'rules', 'group-by', 'timespan', 'condition', 'aliases', 'generate'],
  sequence: ['by', 'within', 'steps', 'until', 'detections', 'absent', 'process'],
  'first-seen': ['detections', 'value', 'by', 'within', 'learning'],
  threshold: ['detections', 'by', 'within', 'count', 'distinct'],
  model: ['timespan', 'threshold', 'weights', 'detections', 'counts', 'breadth', 'require', 'in-order', 'levels', 'label', 'tactics', 'techniques', 'level'],
};

const VALUES: Record<string, string[]> = {
  level: ['informational', 'low', 'medium', 'high', 'critical'],
  status: ['experimental', 'test', 'stable', 'deprecated', 'unsupported'],
  product: ['linux', 'windows', 'macos'],
  category: [
    'process_creation', 'process_termination', 'file_event', 'file_change', 'file_delete', 'file_rename', 'file_access',
    'network_connection', 'dns_query', 'driver_load', 'image_load',
  ],
  type: ['event_count', 'value_count', 'temporal', 'temporal_ordered', 'value_sum', 'value_avg', 'value_percentile'],
  process: ['same', 'child', 'descendant', 'parent', 'ancestor'],
};

/** The top-level key above `line` (by number) that it belongs to. */
function sectionOf(lines: string[], line: number): string | undefined {
  for (let at = line - 1; at >= 0; at -= 1) {
    const key = /^([\w-]+):/u.exec(lines[at] ?? '');
    if (key) return key[1];
  }
  return undefined;
}

/** What could stand at `column` of line number `line` (both from 0). */
export function offer(lines: string[], line: number, column: number, fields: Named[]): Offer | undefined {
  const before = (lines[line] ?? '').slice(0, column);
  if (/^\s*#/u.test(before)) return undefined;
  const value = /^(?:\s*-\s+)?\s*([\w-]+):\s+(\S*)$/u.exec(before);
  if (value) {
    const [, key = '', written = ''] = value;
    const options = VALUES[key]?.map((label) => ({ label, kind: 'value' as const }));
    return options ? { from: column - written.length, written, options } : undefined;
  }
  const modifier = /^\s*(?:-\s+)?[\w.@-]+(?:\|\w+)*\|(\w*)$/u.exec(before);
  if (modifier) {
    const written = modifier[1] ?? '';
    return { from: column - written.length, written, options: MODIFIERS.map((label) => ({ label, kind: 'modifier' as const })) };
  }
  const key = /^(\s*)(?:-\s+)?([\w.@-]*)$/u.exec(before);
  if (!key) return undefined;
  const written = key[2] ?? '';
  const from = column - written.length;
  if (from === 0) return { from, written, options: TOP.map((label) => ({ label, kind: 'key' as const })) };
  const section = sectionOf(lines, line);
  const known = section === undefined ? undefined : WITHIN[section];
  if (known) return { from, written, options: known.map((label) => ({ label, kind: 'key' as const })) };
  if (section !== undefined && section !== 'detection') return undefined;
  const names = fields.flatMap((field) => [
    ...field.aliases.filter((alias) => /^[A-Z]/u.test(alias)).map((label) => ({ label, detail: field.name, kind: 'field' as const })),
    { label: field.name, detail: field.doc, kind: 'field' as const },
  ]);
  return { from, written, options: [{ label: 'condition', kind: 'key' as const }, ...names] };
}

/** `value` as a Sigma value that matches nothing but itself, in YAML's single quotes. */
export function exactly(value: string): string {
  // What would hide in a line of YAML is any one character there: `?`.
  const escaped = pieces(value)
    .map((piece) => (piece.kind === 'plain' ? piece.source.replace(/[\\*?]/gu, '\\$&') : '?'))
    .join('');
  return `'${escaped.replaceAll("'", "''")}'`;
}

/** One line of a selection. */
export function condition(field: string, value: string): string {
  return `${field}: ${exactly(value)}`;
}

/** `text` as a document of one's own: an id that is free, and a title that says where it came from. */
export function asOwn(text: string, id: string, suffix: string): string {
  const titled = text.replace(/^title:\s*(.*?)\s*$/mu, (_, title: string) =>
    /^["']/u.test(title) ? `title: ${title.slice(0, -1)} ${suffix}${title.slice(-1)}` : `title: ${title} ${suffix}`,
  );
  const named = titled.replace(/^name:.*\n/mu, '');
  return /^id:/mu.test(named) ? named.replace(/^id:.*$/mu, `id: ${id}`) : `id: ${id}\n${named}`;
}

/** A random UUID, also where the page is not served over TLS. */
export function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
