// View state lives in the URL's query, as plain text, so that a link shows what its sender saw.
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useCallback } from 'react';

export type UrlState = Record<string, string | undefined>;

export function parseSearch(text: string): UrlState {
  return Object.fromEntries(new URLSearchParams(text));
}

export function stringifySearch(state: Record<string, unknown>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    if (typeof value === 'string' && value !== '') params.set(key, value);
  }
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}

/** The page's state and how to change part of it; `push` makes a step for Back. */
export function useUrl(): [UrlState, (change: UrlState, how?: 'push' | 'replace') => void] {
  const state = useSearch({ strict: false }) as UrlState;
  const navigate = useNavigate();
  const change = useCallback(
    (patch: UrlState, how: 'push' | 'replace' = 'push') => {
      void navigate({
        to: '.',
        search: ((before: UrlState) => ({ ...before, ...patch })) as never,
        replace: how === 'replace',
      });
    },
    [navigate],
  );
  return [state, change];
}
