// The techniques as a matrix: what was hit, what could be, and what nothing here can see. Put together from
// hits, the detections in force and what each endpoint says it cannot judge.
import type { Detection, Endpoint, TechniqueRow } from '../api/types';

/** Tactics in the order of an intrusion, as ATT&CK lists them. */
export const TACTICS = [
  'reconnaissance', 'resource-development', 'initial-access', 'execution', 'persistence',
  'privilege-escalation', 'stealth', 'defense-evasion', 'defense-impairment', 'credential-access', 'discovery',
  'lateral-movement', 'collection', 'command-and-control', 'exfiltration', 'impact',
];

export interface Cell {
  id: string;
  name: string;
  tactics: string[];
  /** Hits, those of its sub-techniques included. */
  hits: number;
  /** What was seen of it itself. */
  row?: TechniqueRow;
  /** Detections in force that name it or one of its sub-techniques. */
  inForce: Detection[];
  /** Why none of them can fire on any endpoint that told what it sees; none: one can, or nobody told. */
  cannot?: string;
  subs: Cell[];
}

export type Names = ReadonlyMap<string, string>;

/** Lines of `T1003 OS Credential Dumping`; the rest is comment. */
export function readNames(text: string): Names {
  return new Map(text.split('\n').flatMap((line) => {
    const found = /^(T[\d.]+)\s+(.+)$/u.exec(line);
    return found ? [[found[1] ?? '', found[2] ?? ''] as const] : [];
  }));
}

/** Of the detections that cannot fire on any endpoint that told: why not on the first of them. */
export function unable(endpoints: Endpoint[]): Map<string, string> {
  const told = endpoints.flatMap((one) => (one.coverage && one.coverage.judged > 0 ? [one.coverage] : []));
  const [first, ...others] = told;
  return new Map((first?.cannot_fire ?? [])
    .filter((one) => others.every((coverage) => coverage.cannot_fire.some((each) => each.id === one.id)))
    .map((one) => [one.id, one.why]));
}

/** A detection with several techniques and tactics does not say which goes with which: most votes win. */
function tacticsOf(detections: Detection[]): string[] {
  const votes = new Map<string, number>();
  for (const one of detections) for (const tactic of one.tactics) votes.set(tactic, (votes.get(tactic) ?? 0) + 1 / one.tactics.length);
  const most = Math.max(0, ...votes.values());
  return [...votes].filter(([, vote]) => vote >= most * 0.75).map(([tactic]) => tactic);
}

const parentOf = (id: string) => id.split('.')[0] ?? id;

/** Techniques without a dot, each with its sub-techniques, in order of their names' ids. */
export function matrix(rows: TechniqueRow[], detections: Detection[], endpoints: Endpoint[], names: Names): Cell[] {
  const cannot = unable(endpoints);
  const force = detections.filter((one) => one.enabled);
  const byId = new Map(rows.map((row) => [row.id, row]));
  const ids = new Set([...byId.keys(), ...force.flatMap((one) => one.techniques)]);
  for (const id of ids) ids.add(parentOf(id));
  const cell = (id: string, subs: Cell[]): Cell => {
    const row = byId.get(id);
    const own = force.filter((one) => one.techniques.includes(id));
    const inForce = [...new Set([...own, ...subs.flatMap((sub) => sub.inForce)])];
    const tactics = own.length > 0 || !row ? tacticsOf(own.length > 0 ? own : inForce) : row.tactics;
    return {
      id,
      name: row?.name ?? names.get(id) ?? '',
      tactics: tactics.length > 0 ? tactics : (row?.tactics ?? [...new Set(subs.flatMap((sub) => sub.tactics))]),
      hits: (row?.count ?? 0) + subs.reduce((sum, sub) => sum + sub.hits, 0),
      ...(row ? { row } : {}),
      inForce,
      ...(inForce.length > 0 && inForce.every((one) => cannot.has(one.id)) ? { cannot: cannot.get(inForce[0]?.id ?? '') } : {}),
      subs,
    };
  };
  const sorted = [...ids].sort();
  return sorted
    .filter((id) => !id.includes('.'))
    .map((id) => cell(id, sorted.filter((sub) => sub !== id && parentOf(sub) === id).map((sub) => cell(sub, []))));
}

/** The step of the heat from 0 (nothing) to 5 (most), by order of magnitude. */
export function heat(value: number, most: number): number {
  if (value <= 0) return 0;
  if (most <= 1) return 5;
  return 1 + Math.round((4 * Math.log(value)) / Math.log(most));
}
