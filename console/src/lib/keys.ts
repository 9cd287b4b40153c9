// Single-key shortcuts, never active while someone types.
import { useEffect, useRef } from 'react';

export type Keys = Record<string, (event: KeyboardEvent) => void>;

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable ||
    ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName) ||
    target.closest('[role="dialog"],[role="menu"],[role="listbox"]') !== null
  );
}

/** Chords of two keys must follow each other within this many ms. */
const CHORD_MS = 900;

/** Binds keys (`j`, `Enter`, `g a`) on the document while mounted. */
export function useKeys(keys: Keys): void {
  const current = useRef(keys);
  useEffect(() => {
    current.current = keys;
  });
  useEffect(() => {
    let first = '';
    let at = 0;
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (isTyping(event.target)) return;
      const chord = event.timeStamp - at < CHORD_MS ? `${first} ${event.key}` : '';
      const handler = current.current[chord] ?? current.current[event.key];
      first = event.key;
      at = event.timeStamp;
      if (!handler) return;
      const onControl =
        event.target instanceof HTMLElement && event.target.closest('button,a,[role="button"]');
      if (onControl && (event.key === 'Enter' || event.key === ' ')) return;
      event.preventDefault();
      handler(event);
    };
    document.addEventListener('keydown', listen);
    return () => document.removeEventListener('keydown', listen);
  }, []);
}
