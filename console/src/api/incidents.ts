// Incidents: alerts that belong together, why, and what people changed about it.
import { useMutation, useQueryClient } from '@tanstack/react-query';

import { call } from './client';
import type { Problem, Query } from './client';
import { orOff, useGet, usePages } from './hooks';
import type { IncidentDetail, IncidentPage } from './types';

export const useIncidents = (query: Query) => usePages<IncidentPage>('/incidents', query);
export const useIncident = (id: string | undefined) =>
  useGet<IncidentDetail>(`/incidents/${id ?? ''}`, {}, orOff(id));

export type IncidentChange =
  | { how: 'split'; id: string; alerts: string[] }
  | { how: 'merge'; incidents: string[] }
  | { how: 'undo'; id: string };

export function useChangeIncident() {
  const client = useQueryClient();
  return useMutation<unknown, Problem, IncidentChange>({
    mutationFn: (change) => {
      switch (change.how) {
        case 'split':
          return call('POST', `/incidents/${change.id}/split`, { body: { alerts: change.alerts } });
        case 'merge':
          return call('POST', '/incidents/merge', { body: { incidents: change.incidents } });
        case 'undo':
          return call('POST', `/incidents/${change.id}/undo`, { body: {} });
      }
    },
    onSettled: () => {
      void client.invalidateQueries({ queryKey: ['incidents'] });
      void client.invalidateQueries({ queryKey: ['alerts'] });
    },
  });
}
