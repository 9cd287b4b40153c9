// The server's answers as cached queries, and the live stream that keeps them fresh.
import {
  keepPreviousData,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query';
import type { InfiniteData, QueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';

import { call, setCsrf } from './client';
import type { Problem, Query } from './client';
import type {
  AlertDetail,
  AlertPage,
  AlertSummary,
  AlertPatch,
  ArtifactPage,
  Endpoint,
  EndpointList,
  FilePage,
  FieldInfo,
  HealthHistory,
  HitPage,
  InventoryPage,
  Overview,
  Plan,
  PlanPage,
  ProcessTree,
  ResponseRequest,
  SearchAnswer,
  ServerStatus,
  Session,
  TechniqueList,
  TimelinePage,
} from './types';

export function useGet<T>(path: string, query: Query = {}, enabled: 'on' | 'off' = 'on') {
  return useQuery<T, Problem>({
    queryKey: [path.split('/')[1], path, query],
    queryFn: ({ signal }) => call<T>('GET', path, { query, signal }),
    enabled: enabled === 'on',
    placeholderData: keepPreviousData,
  });
}

/** A list that is loaded page by page, by the server's cursor. */
export function usePages<T extends { next?: string | null }>(path: string, query: Query) {
  return useInfiniteQuery<T, Problem, InfiniteData<T>, unknown[], string | undefined>({
    queryKey: [path.split('/')[1], path, query],
    queryFn: ({ signal, pageParam }) =>
      call<T>('GET', path, { query: { ...query, cursor: pageParam }, signal }),
    initialPageParam: undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
  });
}

export const orOff = (id: string | undefined): 'on' | 'off' => (id ? 'on' : 'off');

export function useSession() {
  return useQuery<Session, Problem>({
    queryKey: ['session'],
    queryFn: async () => {
      const session = await call<Session>('GET', '/session');
      setCsrf(session.csrf_token);
      return session;
    },
    retry: (count, problem) => problem.status !== 401 && count < 2,
    staleTime: 60_000,
  });
}

export function useSignIn() {
  const client = useQueryClient();
  return useMutation<Session, Problem, { user: string; password: string }>({
    mutationFn: (body) => call<Session>('POST', '/session', { body }),
    onSuccess: (session) => {
      setCsrf(session.csrf_token);
      // Nothing of an earlier session stays. The session itself is watched by the page: a query
      // that is removed under its watcher would never speak to it again.
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== 'session' });
      client.setQueryData(['session'], session);
    },
  });
}

export function useSignOut() {
  const client = useQueryClient();
  return useMutation<void, Problem, void>({
    mutationFn: () => call<void>('DELETE', '/session'),
    onSettled: () => client.clear(),
  });
}

/** How the server is; the stream keeps it fresh. */
export const useStatus = () => useGet<ServerStatus>('/status');
export const useOverview = () => useGet<Overview>('/overview');
export const useAlert = (id: string) => useGet<AlertDetail>(`/alerts/${id}`);
export const useAlertTree = (id: string) => useGet<ProcessTree>(`/alerts/${id}/tree`);
export const useAlertTimeline = (id: string) =>
  useGet<TimelinePage>(`/alerts/${id}/timeline`, { limit: 500 });
export const useEndpoints = () => useGet<EndpointList>('/endpoints');
export const useEndpoint = (id: string) => useGet<Endpoint>(`/endpoints/${id}`);
export const useInventory = (id: string, query: Query) =>
  usePages<InventoryPage>(`/endpoints/${id}/inventory`, query);
export const useHealth = (id: string, range: Query) =>
  useGet<HealthHistory>(`/endpoints/${id}/health`, range);
/** What plans brought from endpoints. */
export const useArtifacts = (query: Query) => usePages<ArtifactPage>('/artifacts', query);
/** Who has a file, by SHA-256 or path. */
export const useFiles = (query: Query, enabled: 'on' | 'off' = 'on') =>
  useGet<FilePage>('/inventory/files', query, enabled);
export const useTree = (query: Query, enabled: 'on' | 'off') =>
  useGet<ProcessTree>('/tree', query, enabled);
export const useSearchPages = (query: Query) => usePages<SearchAnswer>('/search', query);
export const useAlertPages = (query: Query) => usePages<AlertPage>('/alerts', query);
export const useFields = () => useGet<FieldInfo[]>('/search/fields');
export const useTechniques = (query: Query) =>
  useGet<TechniqueList>('/techniques', query);
export const useTechniqueHits = (id: string | undefined) =>
  useGet<HitPage>(`/techniques/${id ?? ''}/hits`, {}, orOff(id));
export const usePlans = (query: Query) => useGet<PlanPage>('/responses', query);
export const usePlan = (id: string | undefined) =>
  useGet<Plan>(`/responses/${id ?? ''}`, {}, orOff(id));

export type AlertChange = AlertPatch & { id: string };

export function useChangeAlert() {
  const client = useQueryClient();
  return useMutation<AlertSummary, Problem, AlertChange>({
    mutationFn: ({ id, ...body }) => call('PATCH', `/alerts/${id}`, { body }),
    onSettled: () => {
      for (const key of ['alerts', 'incidents', 'overview']) void client.invalidateQueries({ queryKey: [key] });
    },
  });
}

export type TerminateRequest = Omit<ResponseRequest, 'verb'>;

export function useTerminate() {
  const client = useQueryClient();
  return useMutation<Plan, Problem, TerminateRequest>({
    mutationFn: (body) => call('POST', '/responses', { body: { verb: 'terminate', ...body } }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ['responses'] }),
  });
}

/** Makes any plan. */
export function useRespond() {
  const client = useQueryClient();
  return useMutation<Plan, Problem, ResponseRequest>({
    mutationFn: (body) => call('POST', '/responses', { body }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ['responses'] }),
  });
}

export function useCancelPlan() {
  const client = useQueryClient();
  return useMutation<Plan, Problem, string>({
    mutationFn: (id) => call('POST', `/responses/${id}/cancel`, { body: {} }),
    onSettled: () => void client.invalidateQueries({ queryKey: ['responses'] }),
  });
}

/** At most one refresh of each kind in this many ms, however fast the stream speaks. */
const REFRESH_MS = 800;
const TOUCHES: Record<string, string[]> = {
  alert: ['alerts', 'overview', 'techniques', 'incidents'],
  endpoint: ['endpoints', 'overview'],
  plan: ['responses', 'artifacts', 'overview'],
  incidents: ['incidents', 'alerts'],
  stats: [],
  resync: ['alerts', 'overview', 'endpoints', 'responses', 'artifacts', 'techniques', 'status', 'incidents', 'detections', 'exceptions', 'indicators', 'sightings'],
};

function refresher(client: QueryClient) {
  const due = new Set<string>();
  let timer: number | undefined;
  const flush = () => {
    timer = undefined;
    for (const key of due) void client.invalidateQueries({ queryKey: [key] });
    due.clear();
  };
  return {
    touch(kind: string) {
      for (const key of TOUCHES[kind] ?? []) due.add(key);
      if (due.size > 0 && timer === undefined) timer = window.setTimeout(flush, REFRESH_MS);
    },
    stop() {
      window.clearTimeout(timer);
    },
  };
}

export type StreamState = 'connecting' | 'live' | 'lost';

/** Listens to the server's stream while mounted and refreshes what it touches. */
export function useStream(): StreamState {
  const client = useQueryClient();
  const [state, setState] = useState<StreamState>('connecting');
  useEffect(() => {
    const source = new EventSource('/api/v1/stream');
    const refresh = refresher(client);
    source.addEventListener('open', () => setState('live'));
    source.addEventListener('error', () => setState('lost'));
    source.addEventListener('stats', (event: MessageEvent<string>) => {
      client.setQueryData(['status', '/status', {}], JSON.parse(event.data) as ServerStatus);
    });
    for (const kind of Object.keys(TOUCHES)) {
      source.addEventListener(kind, () => refresh.touch(kind));
    }
    return () => {
      source.close();
      refresh.stop();
    };
  }, [client]);
  return state;
}
