// Points in time: exact, by the reader's zone; ages with the exact time one hover away.
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { usePrefs } from '../lib/prefs';
import { age, clock, stamp } from '../lib/time';

export function Stamp({ time, form }: { time: string | null | undefined; form?: 'clock' }) {
  const { zone } = usePrefs();
  if (!time) return <span className="muted">–</span>;
  return (
    <time dateTime={time} className="nowrap mono" title={stamp(time, zone)}>
      {form === 'clock' ? clock(time, zone) : stamp(time, zone)}
    </time>
  );
}

const TICK_MS = 10_000;

export function Age({ time }: { time: string | null | undefined }) {
  const { t } = useTranslation();
  const { zone } = usePrefs();
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), TICK_MS);
    return () => window.clearInterval(timer);
  }, []);
  if (!time) return <span className="muted">–</span>;
  const { unit, value } = age(time, now);
  return (
    <time dateTime={time} className="nowrap" title={stamp(time, zone)}>
      {t(`time/${unit}`, { value })}
    </time>
  );
}
