// Work that the server does in slices, each asked for where the one before ended.
import { Problem } from './client';

interface Slice {
  done: boolean;
  events: number;
}

/** How often it may begin anew: when activities came in meanwhile, or the server was restarted. */
export const MAX_ANEW = 3;

/** Asks for slices until one is the last. Fails when they begin anew, or stay where they are, too often. */
export async function toTheEnd<S extends Slice>(next: () => Promise<S>, onSlice: (slice: S) => void): Promise<void> {
  let seen = 0;
  let anew = 0;
  while (anew <= MAX_ANEW) {
    // One after the other.
    // oxlint-disable-next-line no-await-in-loop
    const slice = await next();
    onSlice(slice);
    if (slice.done) return;
    if (slice.events <= seen) anew += 1;
    seen = slice.events;
  }
  throw new Problem(0, { code: 'no_progress', detail: 'detection does not get on; try again later' });
}
