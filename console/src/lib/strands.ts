// Alerts of one storyline say the same thing from several sides: they are shown as one, the heaviest leading.
import type { AlertSummary } from '../api/types';

export interface Strand {
  /** The alert with the highest score; of equals the earliest. */
  lead: AlertSummary;
  /** The other alerts of its storyline, the heaviest first. */
  also: AlertSummary[];
}

export const alertsOf = (strand: Strand): AlertSummary[] => [strand.lead, ...strand.also];

/** Alerts by storyline, each storyline where its first alert stands. */
export function strandsOf(alerts: AlertSummary[]): Strand[] {
  const found = new Map<string, AlertSummary[]>();
  for (const alert of alerts) {
    // A storyline is one of its host; an alert without one stands alone.
    const key = alert.storyline === '' ? alert.id : `${alert.endpoint} ${alert.storyline}`;
    found.set(key, [...(found.get(key) ?? []), alert]);
  }
  return [...found.values()].flatMap((members) => {
    const [lead, ...also] = [...members].sort((a, b) => b.score - a.score || a.first.localeCompare(b.first));
    return lead ? [{ lead, also }] : [];
  });
}
