// Counts over time as bars. Dragging over them narrows the time; loss is hatched behind them.
import { useRef, useState } from 'react';
import type { PointerEvent } from 'react';

import type { Loss } from '../api/types';
import { usePrefs } from '../lib/prefs';
import { axis } from '../lib/time';

export interface Bar {
  from: number;
  to: number;
  count: number;
}

interface Props {
  bars: Bar[];
  label: string;
  height: number;
  loss?: Loss[];
  onBrush?: (from: number, to: number) => void;
}

const WIDTH = 1000;
/** Shorter drags are clicks. */
const DRAG_MIN = 6;

export function Histogram({ bars, label, height, loss = [], onBrush }: Props) {
  const { zone } = usePrefs();
  const svg = useRef<SVGSVGElement>(null);
  const [drag, setDrag] = useState<[number, number]>();
  const start = bars[0]?.from ?? 0;
  const end = bars[bars.length - 1]?.to ?? 1;
  const span = Math.max(1, end - start);
  const top = Math.max(1, ...bars.map((bar) => bar.count));
  const x = (time: number) => ((time - start) / span) * WIDTH;
  const at = (event: PointerEvent) => {
    const box = svg.current?.getBoundingClientRect();
    if (!box || box.width === 0) return 0;
    return Math.min(WIDTH, Math.max(0, ((event.clientX - box.left) / box.width) * WIDTH));
  };
  const release = () => {
    if (drag && onBrush && Math.abs(drag[1] - drag[0]) > DRAG_MIN) {
      const [a, b] = [Math.min(...drag), Math.max(...drag)];
      onBrush(start + (a / WIDTH) * span, start + (b / WIDTH) * span);
    }
    setDrag(undefined);
  };
  return (
    <figure style={{ margin: 0 }}>
      <svg
        ref={svg}
        className="hist"
        viewBox={`0 0 ${WIDTH} ${height}`}
        height={height}
        preserveAspectRatio="none"
        role="img"
        aria-label={label}
        onPointerDown={(event) => {
          if (!onBrush) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          setDrag([at(event), at(event)]);
        }}
        onPointerMove={(event) => drag && setDrag([drag[0], at(event)])}
        onPointerUp={release}
      >
        {loss.map((one, index) => {
          const from = Math.max(start, Date.parse(one.from));
          const to = Math.min(end, Date.parse(one.to));
          if (!(to >= from)) return null;
          return <rect key={index} className="hist__loss" x={x(from)} y={0} width={Math.max(2, x(to) - x(from))} height={height} />;
        })}
        {bars.map((bar) => {
          const tall = bar.count === 0 ? 0 : Math.max(2, (bar.count / top) * (height - 4));
          return (
            <rect
              key={bar.from}
              className="hist__bar"
              x={x(bar.from) + 0.5}
              y={height - tall}
              width={Math.max(1, x(bar.to) - x(bar.from) - 1.5)}
              height={tall}
            >
              <title>{`${axis(bar.from, zone)} · ${bar.count}`}</title>
            </rect>
          );
        })}
        <line className="hist__line" x1={0} x2={WIDTH} y1={height - 0.5} y2={height - 0.5} />
        {drag && (
          <rect className="hist__brush" x={Math.min(...drag)} y={0} width={Math.abs(drag[1] - drag[0])} height={height} />
        )}
      </svg>
      <figcaption className="hist__axis" aria-hidden="true">
        <span>{axis(start, zone)}</span>
        <span>{axis(start + span / 2, zone)}</span>
        <span>{axis(end, zone)}</span>
      </figcaption>
    </figure>
  );
}
