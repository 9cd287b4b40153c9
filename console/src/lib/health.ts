// How a sensor did over time, as lines to draw. Counters are turned into what they grew by; a sensor
// that started anew begins a new line, and so does one that was silent.
import type { HealthPoint } from '../api/types';

export interface Spot {
  /** ms since the epoch. */
  time: number;
  /** Null: nothing is known there, the line breaks. */
  value: number | null;
}

const MINUTE_MS = 60_000;
/** Silent for longer than this many points: the line breaks. */
const SILENCE = 3;

type Name = 'rss_bytes' | 'lag_ms' | 'spool_bytes';

interface Step {
  from: HealthPoint;
  to: HealthPoint;
  /** ms between them. */
  span: number;
}

function steps(points: HealthPoint[]): Step[] {
  return points.slice(1).map((to, index) => {
    const from = points[index] ?? to;
    return { from, to, span: Date.parse(to.time) - Date.parse(from.time) };
  });
}

/** A value as it was said. */
export function level(points: HealthPoint[], name: Name, minutesPerPoint: number): Spot[] {
  const longest = SILENCE * minutesPerPoint * MINUTE_MS;
  const spots: Spot[] = points.slice(0, 1).map((one) => ({ time: Date.parse(one.time), value: one[name] ?? null }));
  for (const { from, to, span } of steps(points)) {
    if (span > longest) spots.push({ time: Date.parse(from.time) + 1, value: null });
    spots.push({ time: Date.parse(to.time), value: to[name] ?? null });
  }
  return spots;
}

/** What a counter grew by in a millisecond, between each two points. */
function growth(points: HealthPoint[], name: 'cpu_ms' | 'events_total', minutesPerPoint: number): Spot[] {
  const longest = SILENCE * minutesPerPoint * MINUTE_MS;
  return steps(points).map(({ from, to, span }) => {
    const grown = (to[name] ?? -1) - (from[name] ?? 0);
    const known = from[name] != null && grown >= 0 && span > 0 && span <= longest;
    return { time: Date.parse(to.time), value: known ? grown / span : null };
  });
}

const times = (spots: Spot[], factor: number) =>
  spots.map((one) => ({ ...one, value: one.value === null ? null : one.value * factor }));

/** Part of one core that was used, in per cent, between each two points. */
export const cpuShare = (points: HealthPoint[], minutesPerPoint: number): Spot[] =>
  times(growth(points, 'cpu_ms', minutesPerPoint), 100);

/** Activities produced in a second, between each two points. */
export const rate = (points: HealthPoint[], minutesPerPoint: number): Spot[] =>
  times(growth(points, 'events_total', minutesPerPoint), 1000);

/** Activities lost between each two points; all that a sensor lost that started anew. */
export function lost(points: HealthPoint[]): Spot[] {
  return steps(points).map(({ from, to }) => {
    if (to.lost_total == null) return { time: Date.parse(to.time), value: null };
    const before = from.lost_total ?? 0;
    return { time: Date.parse(to.time), value: to.lost_total < before ? to.lost_total : to.lost_total - before };
  });
}

export interface Line {
  /** SVG path over a box of `width` × `height`. */
  path: string;
  last: number | null;
  most: number | null;
}

/** The spots as a path; `from` and `to` are the ends of the box. */
export function draw(spots: Spot[], [from, to]: [number, number], [width, height]: [number, number]): Line {
  const known = spots.flatMap((one) => (one.value === null ? [] : [one.value]));
  const most = known.length > 0 ? Math.max(...known) : null;
  const top = Math.max(most ?? 0, Number.MIN_VALUE);
  let path = '';
  let pen: 'up' | 'down' = 'up';
  for (const { time, value } of spots) {
    if (value === null) {
      pen = 'up';
      continue;
    }
    const x = ((time - from) / Math.max(1, to - from)) * width;
    const y = height - (value / top) * height;
    // A spot alone is a dot: a line of no length with round ends.
    path += pen === 'up' ? `M${x.toFixed(1)} ${y.toFixed(1)}h0` : `L${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = 'down';
  }
  return { path, last: known[known.length - 1] ?? null, most };
}
