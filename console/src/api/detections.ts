// Detections, exceptions and back-tests: the server's answers as cached queries, and what changes them.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';

import { call } from './client';
import type { Problem } from './client';
import { orOff, useGet } from './hooks';
import type {
  Backtest,
  BacktestBegun,
  BacktestRequest,
  CheckAnswer,
  Detection,
  DetectionDetail,
  DetectionList,
  Exception,
  ExceptionList,
  ExceptionPreview,
  ExceptionRequest,
  ExceptionScope,
  GroupList,
  RuleDocument,
  RuleImport,
  TuningChange,
} from './types';

/** In a path: ids of detections may hold anything. */
const part = encodeURIComponent;

export const useDetections = () => useGet<DetectionList>('/detections');
export const useDetection = (id: string | undefined) =>
  useGet<DetectionDetail>(`/detections/${part(id ?? '')}`, {}, orOff(id));
export const useGroups = () => useGet<GroupList>('/groups');
export const useExceptions = () => useGet<ExceptionList>('/exceptions');

export function checkText(text: string): Promise<CheckAnswer> {
  return call<CheckAnswer>('POST', '/detections/check', { body: { text } });
}

/** What changing content touches. */
function useTouched(): () => void {
  const client = useQueryClient();
  return () => {
    for (const key of ['detections', 'exceptions', 'techniques']) {
      void client.invalidateQueries({ queryKey: [key] });
    }
  };
}

export function useTune(id: string) {
  const touched = useTouched();
  return useMutation<Detection, Problem, TuningChange>({
    mutationFn: (body) => call('PUT', `/detections/${part(id)}/tuning`, { body }),
    onSuccess: touched,
  });
}

export function useSaveDetection() {
  const touched = useTouched();
  return useMutation<Detection, Problem, { id: string; text: string }>({
    mutationFn: ({ id, text }) => call('PUT', `/detections/${part(id)}`, { body: { text } }),
    onSuccess: touched,
  });
}

export function useDeleteDetection() {
  const touched = useTouched();
  return useMutation<void, Problem, string>({
    mutationFn: (id) => call('DELETE', `/detections/${part(id)}`),
    onSuccess: touched,
  });
}

/** What a set of rules comes in: an archive, or its documents. */
export type RuleFiles = { zip: Blob; documents?: undefined } | { zip?: undefined; documents: RuleDocument[] };

export function useImportRules() {
  const touched = useTouched();
  return useMutation<RuleImport, Problem, RuleFiles & { author?: string; licence?: string; preview: boolean }>({
    mutationFn: ({ zip, documents, ...terms }) =>
      zip
        ? call('POST', '/detections/import/zip', { raw: zip, query: { ...terms, preview: String(terms.preview) } })
        : call('POST', '/detections/import', { body: { documents, ...terms } }),
    onSuccess: (answer) => {
      if (!answer.preview) touched();
    },
  });
}

/** Between two looks at a job that runs. */
const LOOK_MS = 700;

export function useStartBacktest() {
  return useMutation<BacktestBegun, Problem, BacktestRequest>({
    mutationFn: (body) => call('POST', '/backtests', { body }),
  });
}

export function useBacktest(id: string | undefined) {
  return useQuery<Backtest, Problem>({
    queryKey: ['backtests', id],
    queryFn: ({ signal }) => call('GET', `/backtests/${id ?? ''}`, { signal }),
    enabled: id !== undefined,
    refetchInterval: (query) => (query.state.data?.state === 'running' ? LOOK_MS : false),
  });
}

export function useCancelBacktest() {
  const client = useQueryClient();
  return useMutation<void, Problem, string>({
    mutationFn: (id) => call('DELETE', `/backtests/${id}`),
    onSettled: () => void client.invalidateQueries({ queryKey: ['backtests'] }),
  });
}

/** What an exception would have hidden; asked for by `scope`, so that it always speaks of this one. */
export function useExceptionPreview(scope: ExceptionScope | undefined) {
  return useQuery<ExceptionPreview, Problem>({
    queryKey: ['exception-preview', scope],
    queryFn: ({ signal }) => call('POST', '/exceptions/preview', { body: scope, signal }),
    enabled: scope !== undefined,
    retry: false,
  });
}

export function useAddException() {
  const touched = useTouched();
  return useMutation<Exception, Problem, ExceptionRequest>({
    mutationFn: (body) => call('POST', '/exceptions', { body }),
    onSuccess: touched,
  });
}

export function useRemoveException() {
  const touched = useTouched();
  return useMutation<void, Problem, string>({
    mutationFn: (id) => call('DELETE', `/exceptions/${id}`),
    onSuccess: touched,
  });
}
