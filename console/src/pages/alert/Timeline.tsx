// The storyline's activities in order of time, with a strip of lanes above; lit by the selection.
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useMemo, useRef } from 'react';
import type { KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { EventRow, Highlight, Level } from '../../api/types';
import { classIcon, Icon } from '../../components/icons';
import { SeverityMark } from '../../components/Severity';
import { Stamp } from '../../components/Time';
import { SafeText } from '../../components/Val';
import { baseName, objectOf } from '../../lib/format';
import { worst } from '../../lib/level';
import { eventProcess, ofEvent } from '../../lib/selection';
import type { Lit } from '../../lib/selection';
import { useRowPx } from '../../lib/prefs';

interface Props {
  events: EventRow[];
  highlights: Highlight[];
  shown: Lit;
  onSelect: (sel: string | undefined) => void;
}

/** The worst level of what each activity fired. */
function levelsOf(highlights: Highlight[]): Map<string, Level> {
  const levels = new Map<string, Level[]>();
  for (const one of highlights) {
    for (const id of one.events) {
      levels.set(id, [...(levels.get(id) ?? []), one.detection.level]);
    }
  }
  return new Map([...levels].flatMap(([key, all]) => {
    const top = worst(all);
    return top ? [[key, top] as const] : [];
  }));
}

export function Timeline({ events, highlights, shown, onSelect }: Props) {
  const { t } = useTranslation();
  const sorted = useMemo(() => [...events].sort((a, b) => a.time.localeCompare(b.time)), [events]);
  const levels = useMemo(() => levelsOf(highlights), [highlights]);
  const box = useRef<HTMLDivElement>(null);
  const rowPx = useRowPx();
  const list = useVirtualizer({
    count: sorted.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowPx,
    overscan: 12,
  });
  useEffect(() => list.measure(), [list, rowPx]);
  const at = sorted.findIndex((event) => shown.events.has(event.id));
  useEffect(() => {
    if (at >= 0) list.scrollToIndex(at, { align: 'center' });
  }, [at, list]);
  const keys = (event: KeyboardEvent<HTMLDivElement>) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const next = sorted[Math.min(sorted.length - 1, Math.max(0, at + step))];
    if (!next) return;
    event.preventDefault();
    onSelect(ofEvent(next.id));
  };
  return (
    <div className="timeline">
      <Strip events={sorted} levels={levels} shown={shown} onSelect={onSelect} />
      <div className="timeline__list" ref={box} role="listbox" tabIndex={0} aria-label={t('alert/timeline')} onKeyDown={keys}
        aria-activedescendant={at >= 0 ? `ev-${at}` : undefined}>
        <div role="presentation" style={{ height: list.getTotalSize(), position: 'relative' }}>
          {list.getVirtualItems().map((item) => {
            const event = sorted[item.index];
            if (!event) return null;
            const lit = shown.events.has(event.id)
              ? 'yes'
              : shown.process && eventProcess(event) === shown.process
                ? 'near'
                : 'no';
            return (
              <div
                key={event.id}
                id={`ev-${item.index}`}
                role="option"
                aria-selected={lit === 'yes'}
                data-event={event.id}
                data-lit={lit}
                className="timeline__row"
                style={{ transform: `translateY(${item.start}px)`, height: rowPx }}
                onClick={() => onSelect(ofEvent(event.id))}
              >
                <EventLine event={event} level={levels.get(event.id)} />
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function EventLine({ event, level }: { event: EventRow; level?: Level }) {
  const { t } = useTranslation();
  const name = event.fields['process.name'] ?? baseName(String(event.fields['process.file.path'] ?? ''));
  return (
    <>
      <span className="timeline__mark">{level && <SeverityMark level={level} />}</span>
      <Stamp time={event.time} form="clock" />
      <span className="timeline__class"><Icon name={classIcon(event.class)} size={14} />{t([`class/${event.class}`, event.class])}</span>
      <span className="timeline__process ellipsis"><SafeText text={String(name ?? '')} /> <span className="muted">{String(event.fields['process.pid'] ?? '')}</span></span>
      <span className="mono ellipsis"><SafeText text={objectOf(event).map((one) => one.value).join(' : ')} /></span>
    </>
  );
}

const LANES = ['process', 'file', 'network', 'dns', 'module', 'sensor'] as const;
const LANE_PX = 12;
const STRIP_WIDTH = 1000;

/** One lane per kind of activity, one mark per activity. A picture: the list below says it all. */
function Strip({ events, levels, shown, onSelect }: { events: EventRow[]; levels: Map<string, Level>; shown: Lit; onSelect: (sel: string) => void }) {
  const lanes = LANES.filter((lane) => events.some((event) => classIcon(event.class) === lane));
  const start = Date.parse(events[0]?.time ?? '');
  const end = Date.parse(events[events.length - 1]?.time ?? '');
  const span = Math.max(1, end - start);
  const height = lanes.length * LANE_PX + 4;
  return (
    <svg className="strip" viewBox={`0 0 ${STRIP_WIDTH} ${height}`} height={height} preserveAspectRatio="none" aria-hidden="true">
      {lanes.map((lane, index) => (
        <line key={lane} className="hist__line" x1={0} x2={STRIP_WIDTH} y1={index * LANE_PX + 8} y2={index * LANE_PX + 8} />
      ))}
      {events.map((event) => {
        const level = levels.get(event.id);
        const lane = lanes.findIndex((one) => one === classIcon(event.class));
        const x = ((Date.parse(event.time) - start) / span) * (STRIP_WIDTH - 8) + 4;
        return (
          <rect
            key={event.id}
            className="strip__mark"
            data-lit={shown.events.has(event.id) ? 'yes' : 'no'}
            data-level={level}
            x={x - (level ? 2 : 1)}
            y={lane * LANE_PX + (level ? 3 : 5)}
            width={level ? 4 : 2}
            height={level ? 10 : 6}
            onClick={() => onSelect(ofEvent(event.id))}
          />
        );
      })}
    </svg>
  );
}
