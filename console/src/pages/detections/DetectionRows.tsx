// The rows of the catalogue: virtual, moved through by j k Enter, sorted by their heads.
import { useNavigate } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef } from 'react';
import type { RefObject } from 'react';
import { useTranslation } from 'react-i18next';

import type { Detection } from '../../api/types';
import { Severity } from '../../components/Severity';
import { SafeText } from '../../components/Val';
import { count } from '../../lib/format';
import { useKeys } from '../../lib/keys';
import { useRowPx } from '../../lib/prefs';
import { useUrl } from '../../lib/url';

const COLUMNS = ['name', 'level', 'layer', 'techniques', 'origin', 'hits24', 'hits7', 'hosts7', 'alerts7', 'findings', 'state'] as const;
const NUMBERS: ReadonlySet<string> = new Set(['hits24', 'hits7', 'hosts7', 'alerts7']);
const SORTED: Record<string, string> = { name: 'title', level: 'level', hits7: 'hits' };

export function DetectionRows({ items, sort, field }: { items: Detection[]; sort: string; field: RefObject<HTMLInputElement | null> }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const navigate = useNavigate();
  const box = useRef<HTMLDivElement>(null);
  const rowPx = useRowPx();
  const list = useVirtualizer({ count: items.length, getScrollElement: () => box.current, estimateSize: () => rowPx, overscan: 16 });
  useEffect(() => list.measure(), [list, rowPx]);
  const at = items.findIndex((one) => one.id === url['at']);
  /** Set by the keys: then the row takes the focus too, so that Enter means it. */
  const moved = useRef(false);
  const move = (step: number) => {
    const next = items[at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + step))];
    if (!next) return;
    moved.current = true;
    change({ at: next.id }, 'replace');
  };
  const open = (one: Detection | undefined) => {
    if (one) void navigate({ to: '/detections/$id', params: { id: one.id } });
  };
  useKeys({
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    Enter: () => open(items[at]),
    '/': () => field.current?.focus(),
  });
  useEffect(() => {
    if (at < 0) return;
    list.scrollToIndex(at, { align: 'auto' });
    if (moved.current) window.requestAnimationFrame(() => box.current?.querySelector<HTMLElement>('[aria-current="true"]')?.focus({ preventScroll: true }));
    moved.current = false;
  }, [at, list]);
  return (
    <div role="table" className="search__table" aria-label={t('detections/title')} aria-rowcount={items.length + 1}>
      <div role="rowgroup">
        <div role="row" className="drow drow--head" aria-rowindex={1}>
          {COLUMNS.map((name) => {
            const by = SORTED[name];
            return (
              <span role="columnheader" key={name} className={NUMBERS.has(name) ? 'num' : undefined} aria-sort={by && by === sort ? (by === 'hits' ? 'descending' : 'ascending') : undefined}>
                {by ? <button type="button" className="linklike" onClick={() => change({ sort: by }, 'replace')}>{t(`detections/col/${name}`)}{by === sort ? ' ▾' : ''}</button> : t(`detections/col/${name}`)}
              </span>
            );
          })}
        </div>
      </div>
      <div role="rowgroup" className="search__body" ref={box} tabIndex={0}>
        <div role="presentation" style={{ height: list.getTotalSize(), position: 'relative' }}>
          {list.getVirtualItems().map((row) => {
            const one = items[row.index];
            if (!one) return null;
            return (
              <div
                role="row"
                key={one.id}
                tabIndex={-1}
                aria-rowindex={row.index + 2}
                aria-current={row.index === at ? 'true' : undefined}
                data-detection={one.id}
                className="drow"
                style={{ transform: `translateY(${row.start}px)`, height: rowPx }}
                onClick={() => open(one)}
              >
                <Cells one={one} />
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function Cells({ one }: { one: Detection }) {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const { stats } = one;
  const number = (value: number) => (value === 0 ? <span className="muted">0</span> : count(value, i18n.language));
  const { true: yes, benign, false: no } = stats.findings;
  const findings = t('detections/findingsAre', { yes, benign, no });
  return (
    <>
      <span role="cell" className="ellipsis">
        <a
          href={`/detections/${encodeURIComponent(one.id)}`}
          onClick={(event) => {
            event.stopPropagation();
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            void navigate({ to: '/detections/$id', params: { id: one.id } });
          }}
        >
          <SafeText text={one.title} />
        </a>
      </span>
      <span role="cell"><Severity level={one.level_in_force} /></span>
      <span role="cell">{t(`layer/${one.layer}`)}</span>
      <span role="cell" className="ellipsis mono" title={one.techniques.join(' ')}>{one.techniques.join(' ')}</span>
      <span role="cell">{t(`detections/origin/${one.origin}`)}</span>
      <span role="cell" className="num">{number(stats.hits_24h)}</span>
      <span role="cell" className="num">{number(stats.hits_7d)}</span>
      <span role="cell" className="num">{number(stats.hosts_7d)}</span>
      <span role="cell" className="num">{number(stats.alerts_7d)}</span>
      <span role="cell" title={findings} aria-label={findings}>{yes + benign + no === 0 ? <span className="muted">–</span> : `${yes} · ${benign} · ${no}`}</span>
      <span role="cell" className="row">
        {!one.enabled && <span className="chip chip--off">{t('detections/state/off')}</span>}
        {stats.noisy && <span className="chip chip--warn" title={stats.noisy_why ?? undefined}>{t('detections/state/noisy')}</span>}
        {one.enabled && !stats.noisy && one.tuning.length > 0 && <span className="chip">{t('detections/state/tuned')}</span>}
      </span>
    </>
  );
}
