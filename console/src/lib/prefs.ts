// What a reader chose for this browser: language, zone, density. Nothing secret is ever kept here.
import { useSyncExternalStore } from 'react';

import type { Zone } from './time';

export type Language = 'en' | 'ja';
/** Height of a row in px, by density; the same as --row in tokens.css. */
export const ROW_PX = { normal: 28, compact: 22 } as const;
export type Density = keyof typeof ROW_PX;
export interface Prefs {
  language: Language;
  zone: Zone;
  density: Density;
}

const KEY = 'metsuke.prefs';
const listeners = new Set<() => void>();

function load(): Prefs {
  const fallback: Prefs = {
    language: navigator.language.startsWith('ja') ? 'ja' : 'en',
    zone: 'utc',
    density: 'normal',
  };
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Prefs>;
    return {
      language: kept.language === 'ja' || kept.language === 'en' ? kept.language : fallback.language,
      zone: kept.zone === 'local' ? 'local' : 'utc',
      density: kept.density === 'compact' ? 'compact' : 'normal',
    };
  } catch {
    return fallback;
  }
}

let prefs = load();

export function getPrefs(): Prefs {
  return prefs;
}

export function setPrefs(change: Partial<Prefs>): void {
  prefs = { ...prefs, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(prefs));
  } catch {
    // A browser that keeps nothing still works; the choice lasts until it is closed.
  }
  for (const listener of listeners) listener();
}

/** The height of a row, for lists that are drawn in part. */
export function useRowPx(): number {
  return ROW_PX[usePrefs().density];
}

export function usePrefs(): Prefs {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, getPrefs);
}
