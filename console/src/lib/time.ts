// Time as analysts write it: ISO, 24 hours, milliseconds, in UTC or in the reader's zone.

export type Zone = 'utc' | 'local';

const two = (n: number) => String(n).padStart(2, '0');

function parts(date: Date, zone: Zone): { day: string; clock: string; ms: string } {
  const utc = zone === 'utc';
  const year = utc ? date.getUTCFullYear() : date.getFullYear();
  const month = (utc ? date.getUTCMonth() : date.getMonth()) + 1;
  const day = utc ? date.getUTCDate() : date.getDate();
  const hour = utc ? date.getUTCHours() : date.getHours();
  const minute = utc ? date.getUTCMinutes() : date.getMinutes();
  const second = utc ? date.getUTCSeconds() : date.getSeconds();
  const ms = utc ? date.getUTCMilliseconds() : date.getMilliseconds();
  return {
    day: `${year}-${two(month)}-${two(day)}`,
    clock: `${two(hour)}:${two(minute)}:${two(second)}`,
    ms: String(ms).padStart(3, '0'),
  };
}

/** `2026-11-21 14:02:11.120`; the text itself when it is no time. */
export function stamp(text: string, zone: Zone): string {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  const shown = parts(date, zone);
  return `${shown.day} ${shown.clock}.${shown.ms}`;
}

/** `14:02:11.120`. */
export function clock(text: string, zone: Zone): string {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  const shown = parts(date, zone);
  return `${shown.clock}.${shown.ms}`;
}

/** `11-21 14:02`, for axes. */
export function axis(time: number, zone: Zone): string {
  const shown = parts(new Date(time), zone);
  return `${shown.day.slice(5)} ${shown.clock.slice(0, 5)}`;
}

export interface Age {
  unit: 'second' | 'minute' | 'hour' | 'day';
  value: number;
}

/** How long before `now` it was, in the largest whole unit. */
export function age(text: string, now: number): Age {
  const seconds = Math.max(0, Math.round((now - new Date(text).getTime()) / 1000));
  if (seconds < 60) return { unit: 'second', value: seconds };
  if (seconds < 3600) return { unit: 'minute', value: Math.floor(seconds / 60) };
  if (seconds < 86_400) return { unit: 'hour', value: Math.floor(seconds / 3600) };
  return { unit: 'day', value: Math.floor(seconds / 86_400) };
}

export const RANGES = ['15m', '1h', '24h', '7d', '30d'] as const;
export type Range = (typeof RANGES)[number];

const RANGE_MS: Record<Range, number> = {
  '15m': 900_000,
  '1h': 3_600_000,
  '24h': 86_400_000,
  '7d': 604_800_000,
  '30d': 2_592_000_000,
};

export function isRange(text: string | undefined): text is Range {
  return RANGES.includes(text as Range);
}

/** The interval a range means now. */
export function recent(range: Range): { from: string; to: string } {
  return interval(range, Date.now());
}

/** The interval a range means at `now`; whole seconds, so that equal asks are equal keys. */
export function interval(range: Range, now: number): { from: string; to: string } {
  const to = Math.ceil(now / 1000) * 1000;
  return { from: new Date(to - RANGE_MS[range]).toISOString(), to: new Date(to).toISOString() };
}
