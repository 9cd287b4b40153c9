// Indicators and their sightings: the server's answers as cached queries, and what changes them.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';

import { call } from './client';
import type { Problem, Query } from './client';
import type {
  Indicator,
  IndicatorDetail,
  IndicatorImport,
  IndicatorPage,
  IndicatorPreview,
  IndicatorRequest,
  IndicatorSourceList,
  Retro,
  SightingPage,
} from './types';
import { orOff, useGet, usePages } from './hooks';

export const useIndicators = (query: Query) => usePages<IndicatorPage>('/indicators', query);
export const useIndicator = (id: string | undefined) =>
  useGet<IndicatorDetail>(`/indicators/${id ?? ''}`, {}, orOff(id));
export const useSightings = () => usePages<SightingPage>('/sightings', {});
export const useSources = () => useGet<IndicatorSourceList>('/indicators/sources');

function useTouched(): () => void {
  const client = useQueryClient();
  return () => {
    void client.invalidateQueries({ queryKey: ['indicators'] });
    void client.invalidateQueries({ queryKey: ['sightings'] });
  };
}

export function usePreviewImport() {
  return useMutation<IndicatorPreview, Problem, { raw: Blob; format: string }>({
    mutationFn: ({ raw, format }) => call('POST', '/indicators/preview', { raw, query: { format } }),
  });
}

export interface ImportAsk {
  raw: Blob;
  format: string;
  /** Name of the file. */
  document?: string;
  source: string;
  list: string;
  confidence: number;
  expires?: string;
  label?: string;
}

export function useImport() {
  const touched = useTouched();
  return useMutation<IndicatorImport, Problem, ImportAsk>({
    mutationFn: ({ raw, ...query }) => call('POST', '/indicators/import', { raw, query }),
    onSuccess: touched,
  });
}

const LOOK_MS = 700;

/** The look through history and inventory that an import starts. */
export function useRetro(id: string | undefined) {
  return useQuery<Retro, Problem>({
    queryKey: ['retro', id],
    queryFn: ({ signal }) => call('GET', `/indicators/retro/${id ?? ''}`, { signal }),
    enabled: id !== undefined,
    refetchInterval: (query) => (query.state.data?.state === 'running' ? LOOK_MS : false),
  });
}

export function useAddIndicator() {
  const touched = useTouched();
  return useMutation<Indicator, Problem, IndicatorRequest>({
    mutationFn: (body) => call('POST', '/indicators', { body }),
    onSuccess: touched,
  });
}

export type IndicatorChange = { id: string } & Partial<Pick<Indicator, 'list' | 'confidence' | 'expires' | 'note'>>;

export function useChangeIndicator() {
  const touched = useTouched();
  return useMutation<Indicator, Problem, IndicatorChange>({
    mutationFn: ({ id, ...body }) => call('PATCH', `/indicators/${id}`, { body }),
    onSuccess: touched,
  });
}

export function useRemoveIndicator() {
  const touched = useTouched();
  return useMutation<void, Problem, string>({
    mutationFn: (id) => call('DELETE', `/indicators/${id}`),
    onSuccess: touched,
  });
}

export function useRemoveSource() {
  const touched = useTouched();
  return useMutation<void, Problem, string>({
    mutationFn: (source) => call('DELETE', `/indicators/sources/${encodeURIComponent(source)}`),
    onSuccess: touched,
  });
}
