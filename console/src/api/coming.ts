// Shapes of the server's answers about back-tests, exceptions and indicators, written by
// hand after the agreed contract. Each goes away when schema.d.ts has it (then types.ts names it).
import type { TechniqueHit, TextProblem } from './types';

export interface DayCount {
  day: string;
  count: number;
}

export interface HostCount {
  endpoint: string;
  host: string;
  count: number;
}

export interface BacktestRequest {
  id?: string;
  text?: string;
  from: string;
  to: string;
}

export interface Backtest {
  id: string;
  state: 'running' | 'done' | 'failed' | 'cancelled';
  error?: string | null;
  progress: number;
  from: string;
  to: string;
  events: number;
  hits: number;
  alerts: number;
  hosts: HostCount[];
  per_day: DayCount[];
  noise_per_host_day: number;
  examples: TechniqueHit[];
  seconds: number;
  incomplete?: string | null;
}

export interface ExceptionScope {
  /** Empty: every detection. */
  detections: string[];
  groups: string[];
  endpoints: string[];
  /** YAML mapping as in a Sigma selection; empty: whatever the detection matches. */
  condition: string;
}

export interface ExceptionRequest extends ExceptionScope {
  title: string;
  reason: string;
  expires: string;
}

export interface Exception extends ExceptionRequest {
  id: string;
  owner: string;
  created: string;
  expired: boolean;
  hidden: { total: number; last?: string | null; per_day: DayCount[] };
}

export interface ExceptionPreview {
  problems: TextProblem[];
  hits_hidden: number;
  hits_looked_at: number;
  alerts_touched: { id: string; title: string; score_before: number; score_after: number }[];
  hosts: HostCount[];
  per_day: DayCount[];
  examples: TechniqueHit[];
  from: string;
  to: string;
  complete: boolean;
}

export type IndicatorUse = 'block' | 'allow' | 'watch';

export interface Indicator {
  id: string;
  kind: string;
  value: string;
  list: IndicatorUse;
  source: string;
  /** 0 to 100; null: the source does not say. */
  confidence: number | null;
  created: string;
  expires?: string | null;
  expired: boolean;
  labels: string[];
  note?: string | null;
  sightings: number;
  last_sighted?: string | null;
}

export interface Sighting {
  id: string;
  indicator: string;
  indicator_value: string;
  /** First and last within the hour, and how often. */
  time: string;
  last: string;
  count: number;
  endpoint: string;
  host: string | null;
  field: string;
  value: string;
  event?: { id: string } | null;
  /** The file, for one of an inventory. */
  path?: string | null;
  /** `stream`, `history` or `inventory`. */
  where: string;
}

export interface IndicatorDetail extends Indicator {
  provenance: { source: string; document: string | null; place: string | null; imported: string; actor: string }[];
  /** At most 100, newest first; beside `Indicator.sightings`, the count. */
  sighted: Sighting[];
  earliest_seen?: { time: string; endpoint: string; host: string | null; where: string } | null;
}

export interface IndicatorPreview {
  format: string;
  counts: Record<string, number>;
  total: number;
  new: number;
  known: number;
  allowed: number;
  conflicts: { value: string; kind: string; why: string }[];
  refused: { place: string; reason: string }[];
  /** What the reader decided. */
  notes?: { place: string; reason: string }[];
  sample: { kind: string; value: string; defanged_from?: string | null }[];
}

export interface IndicatorImport {
  imported: number;
  known: number;
  refused: { place: string; reason: string }[];
  retro?: { id: string } | null;
}

export interface Retro {
  state: 'running' | 'done' | 'failed';
  progress: number;
  looked_from: string | null;
  looked_to: string | null;
  sightings: number;
  hosts: number;
  incomplete?: string | null;
  error?: string | null;
}

export interface IndicatorRequest {
  kind?: string;
  value: string;
  list: IndicatorUse;
  source: string;
  confidence: number;
  expires?: string | null;
  note?: string;
}

export interface IndicatorSource {
  source: string;
  count: number;
  active: number;
  sightings: number;
  last_import?: string | null;
}
