// What a reader chose for this browser: language, zone. Nothing secret is ever kept here.
import { useSyncExternalStore } from 'react';

import type { Zone } from './time';

export type Language = 'en' | 'ja';
export interface Prefs {
  language: Language;
  zone: Zone;
}

const KEY = 'metsuke.prefs';
const listeners = new Set<() => void>();

function load(): Prefs {
  const fallback: Prefs = {
    language: navigator.language.startsWith('ja') ? 'ja' : 'en',
    zone: 'utc',
  };
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Prefs>;
    return {
      language: kept.language === 'ja' || kept.language === 'en' ? kept.language : fallback.language,
      zone: kept.zone === 'local' ? 'local' : 'utc',
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

export function usePrefs(): Prefs {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, getPrefs);
}
