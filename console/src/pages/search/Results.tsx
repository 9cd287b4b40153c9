// The rows of a search: virtual, so that thousands scroll as lightly as ten.
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { EventRow, SearchAnswer } from '../../api/types';
import { classIcon, Icon } from '../../components/icons';
import { Blank } from '../../components/Panel';
import { Stamp } from '../../components/Time';
import { Val } from '../../components/Val';
import { baseName, objectOf } from '../../lib/format';
import { useKeys } from '../../lib/keys';
import { useRowPx } from '../../lib/prefs';
import { useUrl } from '../../lib/url';

interface Props {
  items: EventRow[];
  answer: SearchAnswer;
  more?: () => void;
}

const COLUMNS = ['time', 'what', 'host', 'process', 'object', 'user'] as const;

export function Results({ items, answer, more }: Props) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const box = useRef<HTMLDivElement>(null);
  const rowPx = useRowPx();
  const list = useVirtualizer({
    count: items.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowPx,
    overscan: 16,
  });
  useEffect(() => list.measure(), [list, rowPx]);
  const at = items.findIndex((one) => one.id === url['open']);
  const move = (step: number) => {
    const next = items[at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + step))];
    if (next) change({ open: next.id }, 'replace');
  };
  useKeys({ j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1) });
  useEffect(() => {
    if (at >= 0) list.scrollToIndex(at, { align: 'auto' });
  }, [at, list]);
  if (items.length === 0) {
    return (
      <section className="panel">
        <Blank>{t('search/empty')}{answer.loss.length > 0 && <> {t('search/emptyLoss')}</>}</Blank>
      </section>
    );
  }
  return (
    <section className="panel search__rows" aria-label={t('search/title')}>
      <div role="table" className="search__table" aria-label={t('search/title')} aria-rowcount={items.length + 1}>
      <div role="rowgroup">
        <div role="row" className="erow erow--head" aria-rowindex={1}>
          {COLUMNS.map((name) => <span role="columnheader" key={name}>{t(`search/${name}`)}</span>)}
        </div>
      </div>
      <div role="rowgroup" className="search__body" ref={box} tabIndex={0}>
        <div role="presentation" style={{ height: list.getTotalSize(), position: 'relative' }}>
          {list.getVirtualItems().map((row) => {
            const event = items[row.index];
            if (!event) return null;
            return (
              <div
                role="row"
                key={event.id}
                aria-rowindex={row.index + 2}
                aria-current={row.index === at ? 'true' : undefined}
                data-event={event.id}
                className="erow"
                style={{ transform: `translateY(${row.start}px)`, height: rowPx }}
                onClick={() => change({ open: event.id === url['open'] ? undefined : event.id }, at < 0 ? 'push' : 'replace')}
              >
                <Cells event={event} />
              </div>
            );
          })}
        </div>
      </div>
      </div>
      {more && <p className="more more--foot"><button type="button" className="iconbtn iconbtn--line" onClick={more}>{t('search/more')}</button></p>}
    </section>
  );
}

function Cells({ event }: { event: EventRow }) {
  const { t } = useTranslation();
  const exe = event.fields['process.file.path'];
  const name = event.fields['process.name'] ?? (typeof exe === 'string' ? baseName(exe) : undefined);
  const objects = objectOf(event);
  return (
    <>
      <span role="cell"><Stamp time={event.time} /></span>
      <span role="cell" className="erow__class"><Icon name={classIcon(event.class)} size={14} />{t([`class/${event.class}`, event.class])}</span>
      <span role="cell" className="ellipsis"><Val field="device.hostname" value={event.host} endpoint={event.endpoint} /></span>
      <span role="cell" className="ellipsis"><Val field="process.name" value={name} /></span>
      <span role="cell" className="erow__object">
        {objects.length === 0 ? <span className="muted">–</span> : objects.map((one) => (
          <span className="ellipsis" key={one.field}><Val field={one.field} value={one.value} /></span>
        ))}
      </span>
      <span role="cell" className="ellipsis"><Val field="process.user.name" value={event.fields['process.user.name']} /></span>
    </>
  );
}
