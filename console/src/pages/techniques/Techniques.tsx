// Observed techniques: a heat map of real hits against what could be detected and what nothing here can
// see, or the same as a list.
import { NativeSelect, TextInput } from '@mantine/core';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import names from '../../../../content/attack-names.txt?raw';
import { useDetections } from '../../api/detections';
import { useEndpoints, useTechniques } from '../../api/hooks';
import type { TechniqueRow } from '../../api/types';
import { Blank, Ready } from '../../components/Panel';
import { Switch } from '../../components/Switch';
import { matrix, readNames } from '../../lib/matrix';
import type { Cell } from '../../lib/matrix';
import { isRange, RANGES, recent } from '../../lib/time';
import { useUrl } from '../../lib/url';
import { Matrix } from './Matrix';
import { TechniquePanel } from './TechniquePanel';
import { TechniqueList } from './TechniqueList';

const NAMES = readNames(names);
const SHOWN = ['hits', 'coverage', 'both'] as const;
export type Shown = (typeof SHOWN)[number];

export function TechniquesPage() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const range = isRange(url['range']) ? url['range'] : '7d';
  const time = useMemo(() => recent(range), [range]);
  const answer = useTechniques(time);
  const view = url['view'] === 'list' ? 'list' : 'matrix';
  const shown = SHOWN.find((one) => one === url['shown']) ?? 'both';
  return (
    <div className="page page--fill">
      <div className="page__head">
        <h1>{t('techniques/title')}</h1>
        <TextInput
          w={200}
          aria-label={t('techniques/find')}
          placeholder={t('techniques/find')}
          value={url['q'] ?? ''}
          onChange={(event) => change({ q: event.currentTarget.value }, 'replace')}
        />
        <NativeSelect
          aria-label={t('time/range')}
          value={range}
          onChange={(event) => change({ range: event.currentTarget.value })}
          data={RANGES.map((value) => ({ value, label: t(`time/${value}`) }))}
        />
        <Switch label={t('techniques/view')} active={view} options={['matrix', 'list'].map((value) => ({ value, label: t(`techniques/viewIs/${value}`) }))} onPick={(value) => change({ view: value === 'matrix' ? undefined : value })} />
        {view === 'matrix' && (
          <Switch label={t('techniques/shown')} active={shown} options={SHOWN.map((value) => ({ value, label: t(`techniques/shownIs/${value}`) }))} onPick={(value) => change({ shown: value === 'both' ? undefined : value })} />
        )}
      </div>
      <Ready answer={answer}>{(data) => <Body items={data.items} view={view} shown={shown} />}</Ready>
    </div>
  );
}

function useCells(items: TechniqueRow[]): Cell[] {
  const detections = useDetections();
  const endpoints = useEndpoints();
  return useMemo(
    () => matrix(items, detections.data?.items ?? [], endpoints.data?.items ?? [], NAMES),
    [items, detections.data, endpoints.data],
  );
}

function holds(cell: Cell, wanted: string): boolean {
  return wanted === '' || [cell.id, cell.name, ...cell.inForce.map((one) => one.title)].some((text) => text.toLowerCase().includes(wanted)) || cell.subs.some((sub) => holds(sub, wanted));
}

function Body({ items, view, shown }: { items: TechniqueRow[]; view: 'matrix' | 'list'; shown: Shown }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const wanted = (url['q'] ?? '').normalize('NFKC').toLowerCase().trim();
  const all = useCells(items);
  const cells = all.filter((cell) => holds(cell, wanted));
  const open = all.flatMap((cell) => [cell, ...cell.subs]).find((cell) => cell.id === url['open']);
  const toggle = (id: string) => change({ open: url['open'] === id ? undefined : id });
  if (all.length === 0) return <section className="panel"><Blank>{t('techniques/empty')}</Blank></section>;
  return (
    <div className={open ? 'techniques techniques--open' : 'techniques'}>
      {view === 'matrix' ? <Matrix cells={cells} shown={shown} open={open?.id} onPick={toggle} /> : <TechniqueList cells={cells} open={open?.id} onPick={toggle} />}
      {open && <TechniquePanel key={open.id} cell={open} onClose={() => change({ open: undefined })} />}
    </div>
  );
}
