// Numbers and field values for people.
import type { EventRow, Scalar } from '../api/types';
import type { ValueType } from './defang';

export function count(value: number | null | undefined, language: string): string {
  return value === null || value === undefined ? '–' : value.toLocaleString(language);
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  let amount = value;
  let unit = 0;
  while (amount >= 1024 && unit < UNITS.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  return `${amount >= 10 || unit === 0 ? Math.round(amount) : amount.toFixed(1)} ${UNITS[unit]}`;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Duration given in ms. */
export function millis(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  if (Math.abs(value) < 1000) return `${Math.round(value)} ms`;
  if (Math.abs(value) < 60_000) return `${(value / 1000).toFixed(1)} s`;
  if (Math.abs(value) < 2 * HOUR_MS) return `${(value / 60_000).toFixed(1)} min`;
  if (Math.abs(value) < 2 * DAY_MS) return `${(value / HOUR_MS).toFixed(1)} h`;
  return `${(value / DAY_MS).toFixed(1)} d`;
}

/** How values of a field are to be treated, by its canonical name. */
export function typeOf(field: string): ValueType {
  if (field.endsWith('sha256')) return 'hash';
  if (field.endsWith('.ip')) return 'ip';
  if (field === 'query.hostname' || field === 'dst_endpoint.hostname') return 'domain';
  if (field.endsWith('user.name')) return 'user';
  if (field === 'device.hostname') return 'host';
  if (field.endsWith('cmd_line')) return 'cmdline';
  if (field.endsWith('path') || field.endsWith('working_directory')) return 'path';
  if (field === 'process.uid' || field.endsWith('process.uid') || field.endsWith('storyline')) {
    return 'process';
  }
  if (field === 'class') return 'class';
  return 'text';
}

const OBJECT: [string, string[]][] = [
  ['process.exit', ['process.cmd_line', 'process.file.path']],
  ['process.', ['process.cmd_line', 'process.file.path', 'process.name']],
  ['file.', ['file.path', 'file_diff.path']],
  ['dns.', ['query.hostname']],
  ['module.', ['driver.file.name', 'driver.file.path']],
  ['sensor.', ['sensor.detail', 'sensor.reason', 'sensor.part']],
];

export interface Shown {
  field: string;
  value: string;
}

function present(value: Scalar | undefined): value is string | number | boolean {
  return value !== undefined && value !== null && value !== '';
}

/** What an activity was done to: the one value that stands for it in a list. */
export function objectOf(event: EventRow): Shown[] {
  if (event.class.startsWith('network.')) {
    const side = event.class === 'network.connect' ? 'dst_endpoint' : 'src_endpoint';
    return [`${side}.ip`, `${side}.port`]
      .map((field) => ({ field, value: event.fields[field] }))
      .filter((shown) => present(shown.value))
      .map((shown) => ({ field: shown.field, value: String(shown.value) }));
  }
  const names = OBJECT.find(([prefix]) => event.class.startsWith(prefix))?.[1] ?? [];
  for (const field of names) {
    const value = event.fields[field];
    if (present(value)) return [{ field, value: String(value) }];
  }
  return [];
}

export function baseName(path: string | null | undefined): string {
  if (!path) return '';
  return path.slice(path.lastIndexOf('/') + 1) || path;
}
