// Counts per day as bars, the part that was hidden drawn above and hatched; a table says the same to who
// cannot see it.
import { useTranslation } from 'react-i18next';

import { count } from '../lib/format';

export interface Day {
  /** A time of that day, or only its date. */
  day: string;
  count: number;
  /** Of these, hidden by exceptions. */
  hidden?: number;
}

interface Props {
  days: Day[];
  label: string;
  height?: number;
}

const STEP = 10;

export function Days({ days, label, height = 64 }: Props) {
  const { t, i18n } = useTranslation();
  const top = Math.max(1, ...days.map((one) => one.count + (one.hidden ?? 0)));
  const tall = (value: number) => (value === 0 ? 0 : Math.max(1.5, (value / top) * (height - 2)));
  const total = days.reduce((sum, one) => sum + one.count, 0);
  const hidden = days.reduce((sum, one) => sum + (one.hidden ?? 0), 0);
  const said = hidden > 0 ? t('days/summaryHidden', { label, total: count(total, i18n.language), hidden: count(hidden, i18n.language) }) : t('days/summary', { label, total: count(total, i18n.language) });
  return (
    <figure className="days">
      <svg className="hist" viewBox={`0 0 ${Math.max(1, days.length) * STEP} ${height}`} height={height} preserveAspectRatio="none" role="img" aria-label={said}>
        {days.map((one, index) => {
          const shown = tall(one.count);
          const more = tall(one.hidden ?? 0);
          return (
            <g key={one.day}>
              <title>{one.hidden ? t('days/oneHidden', { day: one.day.slice(0, 10), count: one.count, hidden: one.hidden }) : t('days/one', { day: one.day.slice(0, 10), count: one.count })}</title>
              <rect x={index * STEP} y={0} width={STEP} height={height} fill="transparent" />
              <rect className="hist__bar" x={index * STEP + 1} y={height - shown} width={STEP - 2} height={shown} />
              <rect className="hist__hidden" x={index * STEP + 1} y={height - shown - more} width={STEP - 2} height={more} />
            </g>
          );
        })}
        <line className="hist__line" x1={0} x2={days.length * STEP} y1={height - 0.5} y2={height - 0.5} />
      </svg>
      <figcaption className="hist__axis" aria-hidden="true">
        <span>{days[0]?.day.slice(5, 10)}</span>
        <span>{t('days/most', { most: count(top, i18n.language) })}</span>
        <span>{days[days.length - 1]?.day.slice(5, 10)}</span>
      </figcaption>
    </figure>
  );
}
