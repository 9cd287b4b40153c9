// Short notices in the corner, spoken by screen readers.
import { useSyncExternalStore } from 'react';

import { visible } from '../lib/safeText';

interface Toast {
  id: number;
  text: string;
}
const SHOWN_MS = 4000;
let toasts: Toast[] = [];
let serial = 0;
const listeners = new Set<() => void>();

function set(next: Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

export function toast(text: string): void {
  serial += 1;
  const id = serial;
  set([...toasts.slice(-3), { id, text: visible(text) }]);
  window.setTimeout(() => set(toasts.filter((one) => one.id !== id)), SHOWN_MS);
}

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((one) => (
        <div className="toast" key={one.id}>
          {one.text}
        </div>
      ))}
    </div>
  );
}
