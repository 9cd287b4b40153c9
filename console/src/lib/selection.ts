// One selection for a whole alert: a highlight, a process or an activity, written in the URL as
// `h:KEY`, `p:UID` or `e:EVENT`. Everything that is lit on the page is derived from it here.
import type { EventRow, Highlight } from '../api/types';

export interface Lit {
  /** Highlights that are lit. */
  highlights: ReadonlySet<string>;
  /** The process in focus. */
  process?: string;
  /** Activities that are lit. */
  events: ReadonlySet<string>;
  /** What was chosen itself. */
  chosen?: { kind: 'highlight' | 'process' | 'event'; key: string };
}

const NOTHING: Lit = { highlights: new Set(), events: new Set() };

export const ofHighlight = (key: string) => `h:${key}`;
export const ofProcess = (uid: string) => `p:${uid}`;
export const ofEvent = (id: string) => `e:${id}`;

export function eventProcess(event: EventRow | undefined): string | undefined {
  const uid = event?.fields['process.uid'];
  return typeof uid === 'string' ? uid : undefined;
}

/** What `sel` lights among `highlights` and `events`. */
export function lit(sel: string | undefined, highlights: Highlight[], events: EventRow[]): Lit {
  if (!sel) return NOTHING;
  const key = sel.slice(2);
  if (sel.startsWith('h:')) {
    const found = highlights.find((highlight) => highlight.key === key);
    if (!found) return NOTHING;
    return {
      highlights: new Set([key]),
      process: found.process_uid,
      events: new Set(found.events),
      chosen: { kind: 'highlight', key },
    };
  }
  if (sel.startsWith('e:')) {
    const mine = highlights.filter((h) => h.events.includes(key));
    return {
      highlights: new Set(mine.map((highlight) => highlight.key)),
      process: eventProcess(events.find((event) => event.id === key)),
      events: new Set([key]),
      chosen: { kind: 'event', key },
    };
  }
  if (!sel.startsWith('p:')) return NOTHING;
  return {
    highlights: new Set(highlights.filter((h) => h.process_uid === key).map((h) => h.key)),
    process: key,
    events: new Set(events.filter((event) => eventProcess(event) === key).map((e) => e.id)),
    chosen: { kind: 'process', key },
  };
}
