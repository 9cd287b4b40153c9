// Recordings of incidents: what was brought in, what detection says of it, and taking it away.
import { useMutation, useQueryClient } from '@tanstack/react-query';

import { call } from './client';
import type { Problem } from './client';
import { orOff, useGet } from './hooks';
import { toTheEnd } from './slices';
import type { Level, Recording, RecordingList, RecordingSlice } from './types';

export const useRecordings = () => useGet<RecordingList>('/recordings');
export const useRecording = (id: string | undefined) => useGet<Recording>(`/recordings/${id ?? ''}`, {}, orOff(id));

/** A process as a report shows it. */
export interface ReportProcess {
  uid: string;
  pid: number | null;
  executable: string | null;
  command_line: string | null;
}

/** The first time that a detection struck on a host. */
export interface Moment {
  time: string;
  host: string;
  detection: string;
  title: string;
  layer: 'filter' | 'rule' | 'model';
  level: Level;
  techniques: string[];
  score: number | null;
  process: ReportProcess | null;
  event: string;
}

/** A step that would have been detected or stopped, with what came before and after. */
export interface ReportStep {
  moment: Moment;
  stops: 'process' | 'storyline' | 'host' | null;
  before: { events: number; events_on_host: number; events_of_storyline: number; seconds_of_storyline: number; line: ReportProcess[] };
  after: { events: number; processes: number; first_processes: ReportProcess[]; detections: [id: string, title: string, count: number][]; alerts: number } | null;
}

export interface ReportDetection {
  id: string;
  title: string;
  layer: 'filter' | 'rule' | 'model';
  level: Level;
  techniques: string[];
  count: number;
  hosts: number;
  first: string;
  stops: ReportStep['stops'];
}

/** What `metsuke replay` prints; the API passes it on as it is. */
export interface Report {
  name: string;
  /** The level from which what struck was thought to be stopped; absent in reports of older servers. */
  stop_at?: Level | null;
  events: number;
  out_of_order: number;
  hosts: { endpoint: string; host: string; events: number; first: string | null; last: string | null }[];
  layers: Record<string, { count: number; by_level: Record<string, number>; first: Moment | null }>;
  detections: ReportDetection[];
  steps: Moment[];
  earliest_detected: ReportStep | null;
  earliest_stopped: ReportStep | null;
}

export const reportOf = (one: Recording) => (one.report ?? undefined) as Report | undefined;

/** What detecting on a recording touches: its alerts are alerts like any other. */
const TOUCHED = ['recordings', 'incidents', 'alerts', 'overview', 'endpoints'];

function useTouched(): () => void {
  const client = useQueryClient();
  return () => {
    for (const key of TOUCHED) void client.invalidateQueries({ queryKey: [key] });
  };
}

interface DetectAsk {
  id: string;
  stopAt: string;
  onSlice: (slice: RecordingSlice) => void;
}

/** Detects on all of it, slice after slice, as the server asks for. */
export function useDetectRecording() {
  const touched = useTouched();
  return useMutation<void, Problem, DetectAsk>({
    mutationFn: async ({ id, stopAt, onSlice }) => {
      const next = () => call<RecordingSlice>('POST', `/recordings/${id}/detect`, { query: { stop_at: stopAt }, body: {} });
      await toTheEnd(next, onSlice);
    },
    onSettled: touched,
  });
}

export function useDeleteRecording() {
  const touched = useTouched();
  return useMutation<void, Problem, string>({
    mutationFn: (id) => call('DELETE', `/recordings/${id}`),
    onSuccess: touched,
  });
}
