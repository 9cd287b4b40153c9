// Moving through the rows of a table by keys; where one is stands in the URL.
import { useEffect, useRef } from 'react';
import type { RefObject } from 'react';

import { useKeys } from './keys';
import type { Keys } from './keys';
import { useUrl } from './url';

const focused = (body: RefObject<HTMLTableSectionElement | null>) =>
  body.current?.querySelector<HTMLElement>('[data-focus="true"]');

/** `j` `k` and arrows move, `Enter` opens; `more` are keys beside these. The row in `body` takes the focus as well. */
export function useRows<T extends { id: string }>(
  body: RefObject<HTMLTableSectionElement | null>,
  items: T[],
  open: (item: T) => void,
  more: Keys = {},
) {
  const [url, change] = useUrl();
  /** Set by the keys: then the row takes the focus too, so that Enter means it. */
  const moved = useRef(false);
  const at = items.findIndex((one) => one.id === url['at']);
  const here = items[at];
  const move = (step: number) => {
    const next = items[at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + step))];
    if (!next) return;
    // At the end one stays where one is; the focus may be elsewhere.
    if (next.id === here?.id) return focused(body)?.focus({ preventScroll: true });
    moved.current = true;
    change({ at: next.id }, 'replace');
  };
  useKeys({
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    Enter: () => here && open(here),
    ...more,
  });
  useEffect(() => {
    const row = focused(body);
    row?.scrollIntoView({ block: 'nearest' });
    if (moved.current) row?.focus({ preventScroll: true });
    moved.current = false;
  }, [body, here?.id]);
  const row = (item: T) => ({
    tabIndex: -1,
    'data-focus': item.id === here?.id ? 'true' : 'false',
    'aria-current': item.id === here?.id ? ('true' as const) : undefined,
  });
  return { here, row };
}
