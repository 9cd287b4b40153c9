// The catalogue of detections: what is in force, what it found, what is noisy, what was refused.
import { Button, TextInput } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useMemo, useRef } from 'react';
import type { RefObject } from 'react';
import { useTranslation } from 'react-i18next';

import { useDetections } from '../../api/detections';
import type { Count, Detection, DetectionList, Level } from '../../api/types';
import { Facet } from '../../components/Facets';
import { Blank, Ready } from '../../components/Panel';
import { Severity } from '../../components/Severity';
import { SafeText } from '../../components/Val';
import { count } from '../../lib/format';
import { useUrl } from '../../lib/url';
import type { UrlState } from '../../lib/url';
import { DetectionRows } from './DetectionRows';
import { ImportRules } from './ImportRules';

const FACETS = ['layer', 'level', 'state', 'origin', 'tactic'] as const;
type FacetName = (typeof FACETS)[number];

function valuesOf(one: Detection, name: FacetName): string[] {
  switch (name) {
    case 'layer': return [one.layer];
    case 'level': return [one.level_in_force];
    case 'origin': return [one.origin];
    case 'tactic': return one.tactics;
    case 'state': return [
      one.enabled ? 'on' : 'off',
      ...(one.stats.noisy ? ['noisy'] : []),
      ...(one.tuning.length > 0 ? ['tuned'] : []),
      ...(one.stats.hits_7d === 0 ? ['silent'] : []),
    ];
  }
}

function matches(one: Detection, url: UrlState, except?: FacetName): boolean {
  const wanted = (url['q'] ?? '').normalize('NFKC').toLowerCase().trim();
  const technique = url['technique'];
  return (
    FACETS.every((name) => name === except || !url[name] || valuesOf(one, name).includes(url[name])) &&
    (!technique || one.techniques.some((id) => id === technique || id.startsWith(`${technique}.`))) &&
    (wanted === '' || [one.title, one.id, one.path, one.author ?? '', ...one.techniques].some((text) => text.toLowerCase().includes(wanted)))
  );
}

const SORTS: Record<string, (a: Detection, b: Detection) => number> = {
  hits: (a, b) => b.stats.hits_7d - a.stats.hits_7d || a.title.localeCompare(b.title),
  level: (a, b) => LEVELS.indexOf(a.level_in_force) - LEVELS.indexOf(b.level_in_force) || a.title.localeCompare(b.title),
  title: (a, b) => a.title.localeCompare(b.title),
};

const LEVELS: Level[] = ['critical', 'high', 'medium', 'low', 'informational'];
const ORDER: Record<FacetName, string[]> = {
  layer: ['filter', 'rule', 'model'],
  level: LEVELS,
  state: ['on', 'off', 'noisy', 'tuned', 'silent'],
  origin: ['shipped', 'own', 'imported'],
  tactic: [],
};

function tally(items: Detection[], url: UrlState, name: FacetName): Count[] {
  const counts = new Map<string, number>();
  for (const one of items) {
    if (!matches(one, url, name)) continue;
    for (const value of valuesOf(one, name)) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  const order = ORDER[name];
  return [...counts]
    .map(([value, number]) => ({ value, count: number }))
    .sort((a, b) => order.indexOf(a.value) - order.indexOf(b.value) || b.count - a.count);
}

export function DetectionsPage() {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [url, change] = useUrl();
  const answer = useDetections();
  const field = useRef<HTMLInputElement>(null);
  return (
    <div className="page page--fill">
      <div className="page__head">
        <h1>{t('detections/title')}</h1>
        <TextInput
          ref={field}
          w={260}
          aria-label={t('detections/find')}
          placeholder={t('detections/find')}
          value={url['q'] ?? ''}
          onChange={(event) => change({ q: event.currentTarget.value, at: undefined }, 'replace')}
          onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
        />
        {url['technique'] && (
          <button type="button" className="iconbtn iconbtn--line" onClick={() => change({ technique: undefined })}>
            {url['technique']} ×<span className="sr-only">{t('alerts/clear')}</span>
          </button>
        )}
        <span className="spacer" />
        <span className="muted hint">{t('detections/keys')}</span>
        <Button variant="default" onClick={() => change({ dialog: 'import' })}>{t('rules/open')}</Button>
        <Button onClick={() => void navigate({ to: '/detections/new' })}>{t('detections/new')}</Button>
      </div>
      <Ready answer={answer}>{(data) => <Body data={data} field={field} />}</Ready>
      <ImportRules state={url['dialog'] === 'import' ? 'open' : 'closed'} onClose={() => change({ dialog: undefined })} />
    </div>
  );
}

function Body({ data, field }: { data: DetectionList; field: RefObject<HTMLInputElement | null> }) {
  const { t, i18n } = useTranslation();
  const [url, change] = useUrl();
  const sort = url['sort'] && SORTS[url['sort']] ? url['sort'] : 'hits';
  const shown = useMemo(() => data.items.filter((one) => matches(one, url)).sort(SORTS[sort]), [data, url, sort]);
  return (
    <>
      <Refused refused={data.refused} />
      <div className="workbench">
        <aside className="panel panel__body--scroll" aria-label={t('alerts/facets')}>
          {FACETS.map((name) => (
            <Facet
              key={name}
              title={t(`detections/facet/${name}`)}
              counts={tally(data.items, url, name)}
              active={url[name]}
              label={(value) => <FacetLabel name={name} value={value} />}
              onPick={(value) => change({ [name]: url[name] === value ? undefined : value, at: undefined })}
            />
          ))}
        </aside>
        <section className="panel search__rows" aria-label={t('detections/title')}>
          <p className="more more--top">
            <span className="muted">{t('detections/total', { count: shown.length, shown: count(shown.length, i18n.language), total: count(data.items.length, i18n.language) })}</span>
            <span className="spacer" />
            <span className="muted">{t('detections/version')}</span> <span className="mono"><SafeText text={data.content_version.slice(0, 12)} /></span>
          </p>
          {shown.length === 0 ? <Blank>{t('detections/empty')}</Blank> : <DetectionRows items={shown} sort={sort} field={field} />}
        </section>
      </div>
    </>
  );
}

function FacetLabel({ name, value }: { name: FacetName; value: string }) {
  const { t } = useTranslation();
  if (name === 'level') return <Severity level={value as Level} />;
  if (name === 'layer') return <>{t(`layer/${value}`)}</>;
  if (name === 'tactic') return <>{t([`tactic/${value}`, value])}</>;
  return <>{t(name === 'origin' ? `detections/origin/${value}` : `detections/state/${value}`)}</>;
}

/** Documents that are not in force, and why: never silently. */
function Refused({ refused }: { refused: DetectionList['refused'] }) {
  const { t } = useTranslation();
  if (refused.length === 0) return null;
  return (
    <details className="warn">
      <summary>{t('detections/refused', { count: refused.length })}</summary>
      <dl className="facts">
        {refused.map((one, index) => (
          <div key={index} style={{ display: 'contents' }}>
            <dt className="mono"><SafeText text={one.path} /></dt>
            <dd><SafeText text={one.reason} /></dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
