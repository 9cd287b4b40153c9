// Shapes of the server's answers about back-tests and exceptions, written by
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
