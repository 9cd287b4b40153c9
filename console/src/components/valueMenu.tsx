// The one menu of values. A single host draws it, so that a list of thousands of values costs none.
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useLayoutEffect, useRef, useSyncExternalStore } from 'react';
import type { KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { useFiles } from '../api/hooks';
import { defang, isDefangable } from '../lib/defang';
import type { ValueType } from '../lib/defang';
import { clause, quote } from '../lib/query';
import { condition } from '../lib/sigma';
import { visible } from '../lib/safeText';
import { toast } from './toast';
import type { ExceptTarget, FilterTarget } from './Val';

export interface MenuRequest {
  anchor: HTMLElement;
  field: string;
  value: string;
  type: ValueType;
  endpoint?: string;
  filter?: FilterTarget;
  except?: ExceptTarget;
}

const SHA256 = /^[0-9a-f]{64}$/i;
/** Values that can stand in a list of indicators. */
const INDICATORS: ReadonlySet<ValueType> = new Set(['hash', 'ip', 'domain']);

let current: MenuRequest | undefined;
const listeners = new Set<() => void>();

function set(next: MenuRequest | undefined): void {
  current = next;
  for (const listener of listeners) listener();
}

export function openValueMenu(request: MenuRequest): void {
  set(request);
}

/** The query that finds `value` anywhere in the fleet. */
export function fleetQuery(field: string, value: string): string {
  // A keyword rule names no field: look for the words anywhere.
  if (field === 'keyword') return quote(value);
  return field.endsWith('hash.sha256') ? clause('sha256', value) : clause(field, value);
}

interface Item {
  label: string;
  run: () => void;
}

function useItems(request: MenuRequest | undefined): Item[] {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const hash = request?.type === 'hash' && SHA256.test(request.value) ? request.value : undefined;
  const files = useFiles({ sha256: hash, limit: 1000 }, hash ? 'on' : 'off');
  if (!request) return [];
  const { field, value, type, endpoint, filter, except } = request;
  const copy = (text: string) => {
    navigator.clipboard.writeText(text).then(
      () => toast(t('val/copied')),
      () => toast(t('val/copyFailed')),
    );
  };
  const items: Item[] = [];
  if (filter) {
    items.push({ label: t('val/filterIn'), run: () => filter.narrow(field, value, 'in') });
    items.push({ label: t('val/filterOut'), run: () => filter.narrow(field, value, 'out') });
  }
  items.push({
    label: t('val/search'),
    run: () =>
      void navigate({ to: '/search', search: { q: fleetQuery(field, value), range: '7d' } as never }),
  });
  if (hash) {
    const there = files.data?.items.filter((file) => !file.gone).map((file) => file.endpoint);
    const label = there && !files.isPlaceholderData ? t('val/onEndpoints', { count: new Set(there).size }) : t('val/files');
    items.push({ label, run: () => void navigate({ to: '/files', search: { q: hash } as never }) });
  }
  if (endpoint) {
    items.push({
      label: t('val/endpoint'),
      run: () => void navigate({ to: '/endpoints/$id', params: { id: endpoint } }),
    });
  }
  if (except) {
    const search = { make: 'yes', detection: except.detection, condition: field === 'keyword' ? '' : condition(field, value) };
    items.push({ label: t('val/except'), run: () => void navigate({ to: '/exceptions', search: search as never }) });
  }
  if (INDICATORS.has(type)) {
    items.push({ label: t('val/indicator'), run: () => void navigate({ to: '/indicators', search: { dialog: 'add', value } as never }) });
  }
  items.push({ label: t('val/copy'), run: () => copy(value) });
  if (isDefangable(type, value)) {
    items.push({ label: t('val/copyDefanged'), run: () => copy(defang(type, value)) });
  }
  return items;
}

const EDGE = 8;

function place(menu: HTMLElement, anchor: HTMLElement): void {
  const box = anchor.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const below = box.bottom + 2 + height < window.innerHeight - EDGE;
  const top = below ? box.bottom + 2 : Math.max(EDGE, box.top - height - 2);
  const left = Math.max(EDGE, Math.min(box.left, window.innerWidth - width - EDGE));
  menu.style.top = `${top}px`;
  menu.style.left = `${left}px`;
}

export function ValueMenuHost() {
  const { t } = useTranslation();
  const request = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => current,
  );
  const items = useItems(request);
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (!request || !ref.current) return;
    place(ref.current, request.anchor);
    ref.current.querySelector<HTMLElement>('[role="menuitem"]')?.focus();
  }, [request]);
  useEffect(() => {
    if (!request) return;
    const away = (event: Event) => {
      if (!(event.target instanceof Node && ref.current?.contains(event.target))) set(undefined);
    };
    document.addEventListener('pointerdown', away);
    document.addEventListener('wheel', away, { passive: true });
    return () => {
      document.removeEventListener('pointerdown', away);
      document.removeEventListener('wheel', away);
    };
  }, [request]);
  if (!request) return null;
  const leave = () => {
    set(undefined);
    request.anchor.focus();
  };
  const keys = (event: KeyboardEvent<HTMLDivElement>) => {
    const all = [...event.currentTarget.querySelectorAll<HTMLElement>('[role="menuitem"]')];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) all[(at + step + all.length) % all.length]?.focus();
    else if (event.key === 'Escape' || event.key === 'Tab') leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      className="menu"
      role="menu"
      tabIndex={-1}
      ref={ref}
      aria-label={t('val/menu', { value: visible(request.value) })}
      onKeyDown={keys}
    >
      <div className="menu__title" role="presentation">
        {visible(request.value)}
      </div>
      {items.map((item) => (
        <button
          type="button"
          role="menuitem"
          tabIndex={-1}
          className="menu__item"
          key={item.label}
          onClick={() => {
            leave();
            item.run();
          }}
        >
          {item.label}
        </button>
      ))}
    </div>
  );
}
