// Severity as shape + word + colour; a score with the shape of its level.
import { useTranslation } from 'react-i18next';

import type { Level } from '../api/types';

function Shape({ level, size = 12 }: { level: Level; size?: number }) {
  const color = `var(--${level})`;
  const common = { width: size, height: size, viewBox: '0 0 12 12', 'aria-hidden': true } as const;
  const ring = <circle cx="6" cy="6" r="4.800" fill="none" stroke={color} strokeWidth="1.600" />;
  switch (level) {
    case 'informational':
      return <svg {...common}>{ring}</svg>;
    case 'low':
      return <svg {...common}>{ring}<path d="M6 6V1.200A4.800 4.800 0 0 1 10.800 6z" fill={color} /></svg>;
    case 'medium':
      return <svg {...common}>{ring}<path d="M6 1.200a4.800 4.800 0 0 1 0 9.600z" fill={color} /></svg>;
    case 'high':
      return <svg {...common}><path d="M6 .8 11.600 11H.4z" fill={color} /></svg>;
    case 'critical':
      return <svg {...common}><path d="M6 0l6 6-6 6-6-6z" fill={color} /></svg>;
  }
}

export function Severity({ level }: { level: Level }) {
  const { t } = useTranslation();
  return (
    <span className="sev">
      <Shape level={level} />
      {t(`level/${level}`)}
    </span>
  );
}

/** The shape alone, named for who cannot see it. */
export function SeverityMark({ level }: { level: Level }) {
  const { t } = useTranslation();
  return (
    <span className="sev" title={t(`level/${level}`)}>
      <Shape level={level} />
      <span className="sr-only">{t(`level/${level}`)}</span>
    </span>
  );
}

export function Score({ score, level, size }: { score: number; level: Level; size?: 'big' }) {
  return (
    <span className={size === 'big' ? 'score score--big' : 'score'}>
      <Shape level={level} size={size === 'big' ? 20 : 12} />
      {score}
    </span>
  );
}
