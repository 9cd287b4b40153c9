// Observed techniques: what was seen, by ATT&CK tactic and technique, from real hits.
import { NativeSelect, TextInput } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useTechniqueHits, useTechniques } from '../api/hooks';
import type { TechniqueHit, TechniqueRow } from '../api/types';
import { Icon } from '../components/icons';
import { Blank, Ready } from '../components/Panel';
import { Severity, SeverityMark } from '../components/Severity';
import { Age, Stamp } from '../components/Time';
import { SafeText, Val } from '../components/Val';
import { clause } from '../lib/query';
import { isRange, RANGES, recent } from '../lib/time';
import { useUrl } from '../lib/url';

/** Tactics in the order of an intrusion, as ATT&CK lists them. */
const TACTICS = [
  'reconnaissance', 'resource-development', 'initial-access', 'execution', 'persistence',
  'privilege-escalation', 'stealth', 'defense-evasion', 'defense-impairment', 'credential-access', 'discovery',
  'lateral-movement', 'collection', 'command-and-control', 'exfiltration', 'impact',
];

export function TechniquesPage() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const range = isRange(url['range']) ? url['range'] : '7d';
  const time = useMemo(() => recent(range), [range]);
  const answer = useTechniques(time);
  return (
    <div className="page page--fill">
      <div className="page__head">
        <h1>{t('techniques/title')}</h1>
        <TextInput
          w={220}
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
      </div>
      <Ready answer={answer}>
        {(data) => (data.items.length === 0 ? <section className="panel"><Blank>{t('techniques/empty')}</Blank></section> : <Body items={data.items} />)}
      </Ready>
    </div>
  );
}

function Body({ items }: { items: TechniqueRow[] }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const wanted = (url['q'] ?? '').normalize('NFKC').toLowerCase();
  const tactic = url['tactic'];
  const shown = items.filter(
    (one) =>
      (!tactic || one.tactics.includes(tactic)) &&
      [one.id, one.name, ...one.detections.map((d) => d.title)].some((text) => text.toLowerCase().includes(wanted)),
  );
  const open = items.find((one) => one.id === url['open']);
  const toggle = (id: string) => change({ open: url['open'] === id ? undefined : id });
  return (
    <>
      <Tactics items={items} active={tactic} onPick={(value) => change({ tactic: value === tactic ? undefined : value })} />
      <div className={open ? 'techniques techniques--open' : 'techniques'}>
        <section className="panel panel--grow" aria-label={t('techniques/title')}>
          <div className="panel__body--scroll" tabIndex={0} role="group" aria-label={t('techniques/title')}>
            <table className="table">
              <thead>
                <tr>
                  <th className="w-tech">{t('techniques/id')}</th>
                  <th>{t('techniques/name')}</th>
                  <th className="w-techs">{t('techniques/tactic')}</th>
                  <th className="w-level">{t('techniques/level')}</th>
                  <th className="w-num num">{t('techniques/count')}</th>
                  <th className="w-num num">{t('techniques/hosts')}</th>
                  <th className="w-age">{t('techniques/last')}</th>
                </tr>
              </thead>
              <tbody>
                {shown.map((one) => (
                  <tr key={one.id} data-link data-focus={one.id === open?.id} onClick={() => toggle(one.id)}>
                    <td>
                      <button type="button" className="linklike mono" aria-pressed={one.id === open?.id} onClick={(event) => { event.stopPropagation(); toggle(one.id); }}>
                        {one.id}
                      </button>
                    </td>
                    <td><SafeText text={one.name} /></td>
                    <td>{one.tactics.map((name) => t([`tactic/${name}`, name])).join(', ')}</td>
                    <td><Severity level={one.level} /></td>
                    <td className="num">{one.count}</td>
                    <td className="num">{one.endpoints}</td>
                    <td><Age time={one.last} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
        {open && <Hits technique={open} onClose={() => change({ open: undefined })} />}
      </div>
    </>
  );
}

function Tactics({ items, active, onPick }: { items: TechniqueRow[]; active?: string; onPick: (tactic: string) => void }) {
  const { t } = useTranslation();
  const totals = TACTICS.map((tactic) => {
    const mine = items.filter((one) => one.tactics.includes(tactic));
    return { tactic, techniques: mine.length, hits: mine.reduce((sum, one) => sum + one.count, 0) };
  }).filter((one) => one.techniques > 0);
  return (
    <section className="panel tactics" aria-label={t('techniques/matrix')}>
      {totals.map((one) => (
        <button type="button" key={one.tactic} className="tactic" aria-pressed={one.tactic === active} onClick={() => onPick(one.tactic)}>
          <span className="tactic__name">{t(`tactic/${one.tactic}`)}</span>
          <span><strong>{one.hits}</strong> <span className="muted">/ {one.techniques}</span></span>
        </button>
      ))}
    </section>
  );
}

function Hits({ technique, onClose }: { technique: TechniqueRow; onClose: () => void }) {
  const { t } = useTranslation();
  const hits = useTechniqueHits(technique.id);
  return (
    <aside className="panel search__panel" aria-label={technique.id}>
      <header className="panel__head">
        <h2><span className="mono">{technique.id}</span> <SafeText text={technique.name} /></h2>
        <span className="spacer" />
        <button type="button" className="iconbtn" aria-label={t('search/close')} title={t('search/close')} onClick={onClose}><Icon name="close" /></button>
      </header>
      <div className="panel__body panel__body--scroll" tabIndex={0} role="group" aria-label={t('techniques/hits')}>
        <h3>{t('techniques/detections')}</h3>
        <ul className="hits">
          {technique.detections.map((one) => (
            <li key={one.id}><SafeText text={one.title} /> <span className="muted">{one.count}</span></li>
          ))}
        </ul>
        <h3>{t('techniques/hits')}</h3>
        <Ready answer={hits}>{(page) => <>{page.items.map((hit, index) => <Hit key={index} hit={hit} />)}</>}</Ready>
      </div>
    </aside>
  );
}

function Hit({ hit }: { hit: TechniqueHit }) {
  const { t } = useTranslation();
  return (
    <div className="hit">
      <div className="row wrap">
        <SeverityMark level={hit.detection.level} />
        <SafeText text={hit.detection.title} />
        <span className="spacer" />
        <Stamp time={hit.time} />
      </div>
      <dl className="facts">
        <dt>{t('alerts/host')}</dt>
        <dd><Val field="device.hostname" value={hit.host} endpoint={hit.endpoint} /></dd>
        {hit.matched.map((one, index) => (
          <div key={index} style={{ display: 'contents' }}>
            <dt className="mono"><SafeText text={one.field} /></dt>
            <dd><Val field={one.field} value={one.value} type="cmdline" /></dd>
          </div>
        ))}
      </dl>
      <Link to="/search" search={{ q: clause('process.uid', hit.process), range: '7d' } as never}>{t('process/events')}</Link>
    </div>
  );
}
