import { expect, test } from 'vitest';

import { MAX_ANEW, toTheEnd } from './slices';

/** A server that sees `steps`, one a call, and then stays at the last. */
function server(steps: number[], total: number) {
  let calls = 0;
  const seen: number[] = [];
  const next = () => {
    if (calls > 100) throw new Error('asked without end');
    const events = steps[Math.min(calls, steps.length - 1)]!;
    calls += 1;
    return Promise.resolve({ done: events === total, events });
  };
  return { next, seen, onSlice: (slice: { events: number }) => void seen.push(slice.events) };
}

test('slices are asked for until the last, also when they began anew in between', async () => {
  const one = server([10, 20, 10, 20, 30], 30);
  await toTheEnd(one.next, one.onSlice);
  expect(one.seen).toEqual([10, 20, 10, 20, 30]);
});

test('what gets nowhere comes to an end, and says so', async () => {
  const one = server([10], 30);
  await expect(toTheEnd(one.next, one.onSlice)).rejects.toMatchObject({ code: 'no_progress' });
  expect(one.seen.length).toBe(MAX_ANEW + 2);
});

test('what is thrown away by others again and again comes to an end too', async () => {
  const one = server([10, 20, 10, 20, 10, 20, 10, 20, 10, 20], 30);
  await expect(toTheEnd(one.next, one.onSlice)).rejects.toMatchObject({ code: 'no_progress' });
});
