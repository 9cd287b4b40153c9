// What holds for indicators that are put in: list, source, confidence, how long.
import { NativeSelect, TextInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { IndicatorUse } from '../../api/types';
import { LASTS, LISTS } from './kinds';

export interface Agreed {
  list: IndicatorUse;
  source: string;
  confidence: number;
  /** Days; 0: for ever. */
  lasts: number;
}

export const USUAL: Agreed = { list: 'watch', source: '', confidence: 70, lasts: 90 };
const SOURCE_MAX = 100;

export function Terms({ terms, missing, onChange }: { terms: Agreed; missing: string; onChange: (terms: Agreed) => void }) {
  const { t } = useTranslation();
  return (
    <div className="terms">
      <NativeSelect
        label={t('indicators/list')}
        description={t(`indicators/listMeans/${terms.list}`)}
        value={terms.list}
        onChange={(event) => onChange({ ...terms, list: event.currentTarget.value as IndicatorUse })}
        data={LISTS.map((value) => ({ value, label: t(`indicators/listIs/${value}`) }))}
      />
      <TextInput label={t('indicators/source')} description={t('indicators/sourceHint')} maxLength={SOURCE_MAX} error={missing} value={terms.source} onChange={(event) => onChange({ ...terms, source: event.currentTarget.value })} />
      <TextInput
        label={t('indicators/confidence')}
        type="number"
        min={0}
        max={100}
        value={terms.confidence}
        onChange={(event) => onChange({ ...terms, confidence: Math.max(0, Math.min(100, Number(event.currentTarget.value))) })}
      />
      <NativeSelect
        label={t('indicators/expires')}
        value={String(terms.lasts)}
        onChange={(event) => onChange({ ...terms, lasts: Number(event.currentTarget.value) })}
        data={LASTS.map((days) => ({ value: String(days), label: days === 0 ? t('indicators/never') : t('exceptions/inDays', { count: days }) }))}
      />
    </div>
  );
}
