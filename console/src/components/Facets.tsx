// Counts beside a list: a click narrows to a value, a second click takes it away, ≠ excludes it.
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { Count } from '../api/types';
import { count as number } from '../lib/format';
import { visible } from '../lib/safeText';
import { SafeText } from './Val';

export interface FacetProps {
  title: string;
  counts: Count[];
  active?: string;
  label?: (value: string) => ReactNode;
  onPick: (value: string) => void;
  onExclude?: (value: string) => void;
}

const SHOWN = 8;

export function Facet({ title, counts, active, label, onPick, onExclude }: FacetProps) {
  const { t, i18n } = useTranslation();
  if (counts.length === 0 && !active) return null;
  const shown = counts.slice(0, SHOWN);
  if (active && !shown.some((one) => one.value === active)) {
    shown.unshift(counts.find((one) => one.value === active) ?? { value: active, count: 0 });
  }
  return (
    <div className="facet" role="group" aria-label={title}>
      <h2 className="facet__title">{title}</h2>
      {shown.map((one) => (
        <div className="facet__row" key={one.value}>
          <button
            type="button"
            className="facet__pick"
            aria-pressed={one.value === active}
            onClick={() => onPick(one.value)}
          >
            <span className="ellipsis" title={visible(one.value)}>
              {label ? label(one.value) : <SafeText text={one.value} />}
            </span>
            <span className="spacer" />
            <span className="facet__count">{number(one.count, i18n.language)}</span>
          </button>
          {onExclude && (
            <button
              type="button"
              className="facet__not"
              aria-label={t('search/exclude', { value: visible(one.value) })}
              title={t('search/exclude', { value: visible(one.value) })}
              onClick={() => onExclude(one.value)}
            >
              ≠
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
