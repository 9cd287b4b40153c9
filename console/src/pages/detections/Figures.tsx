// What a detection found, how people judged it, what it costs and what it needs.
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { DetectionDetail } from '../../api/types';
import { Days } from '../../components/Days';
import { Meter } from '../../components/Meter';
import { Panel } from '../../components/Panel';
import { SafeText } from '../../components/Val';
import { count } from '../../lib/format';

export function Figures({ one }: { one: DetectionDetail }) {
  const { t, i18n } = useTranslation();
  const { stats } = one;
  const number = (value: number) => count(value, i18n.language);
  return (
    <aside className="stack detection__side" aria-label={t('detections/figures')}>
      {stats.noisy && (
        <p className="warn"><strong>{t('detections/state/noisy')}</strong>{stats.noisy_why && <> · <SafeText text={stats.noisy_why} /></>}</p>
      )}
      <Panel title={t('detections/perDay')}>
        <Days label={t('detections/perDay')} days={one.per_day.map((day) => ({ day: day.day, count: day.hits, hidden: day.excepted }))} height={84} />
        <dl className="facts facts--numbers">
          <dt>{t('detections/hits24')}</dt><dd className="num">{number(stats.hits_24h)}</dd>
          <dt>{t('detections/hits7')}</dt><dd className="num">{number(stats.hits_7d)}</dd>
          <dt>{t('detections/hosts7')}</dt><dd className="num">{number(stats.hosts_7d)}</dd>
          <dt>{t('detections/excepted7')}</dt>
          <dd className="num">{stats.excepted_7d > 0 ? <Link to="/exceptions" search={{ q: one.id } as never}>{number(stats.excepted_7d)}</Link> : 0}</dd>
          <dt>{t('detections/alerts7')}</dt>
          <dd className="num"><Link to="/alerts" search={{ detection: one.id } as never}>{number(stats.alerts_7d)}</Link></dd>
        </dl>
      </Panel>
      <Findings one={one} />
      <Cost one={one} />
      {one.needs && one.needs.length > 0 && (
        <Panel title={t('detections/needs')}>
          <div className="row wrap">{one.needs.map((need) => <span key={need} className="chip">{t([`class/${need}`, need])}</span>)}</div>
        </Panel>
      )}
    </aside>
  );
}

const FINDINGS = [['true', 'true_positive'], ['benign', 'benign'], ['false', 'false_positive']] as const;

function Findings({ one }: { one: DetectionDetail }) {
  const { t } = useTranslation();
  const { findings } = one.stats;
  const total = findings.true + findings.benign + findings.false;
  return (
    <Panel title={t('detections/findings')}>
      {total === 0 ? (
        <p className="muted flat">{t('detections/findingsNone')}</p>
      ) : (
        <dl className="facts facts--bars">
          {FINDINGS.map(([key, name]) => (
            <div key={key} style={{ display: 'contents' }}>
              <dt>{t(`finding/${name}`)}</dt>
              <dd><Meter value={findings[key]} max={total} /> <span className="num">{findings[key]}</span></dd>
            </div>
          ))}
        </dl>
      )}
    </Panel>
  );
}

function Cost({ one }: { one: DetectionDetail }) {
  const { t, i18n } = useTranslation();
  const { nanos_per_event: nanos, share } = one.cost;
  const known = (nanos !== null && nanos !== undefined) || (share !== null && share !== undefined);
  return (
    <Panel title={t('detections/cost')}>
      {known ? (
        <dl className="facts facts--numbers">
          {nanos !== null && nanos !== undefined && (<><dt>{t('detections/nanos')}</dt><dd className="num">{t('detections/nanosValue', { value: nanos.toLocaleString(i18n.language, { maximumFractionDigits: 1 }) })}</dd></>)}
          {share !== null && share !== undefined && (<><dt>{t('detections/share')}</dt><dd className="num">{share.toLocaleString(i18n.language, { style: 'percent', maximumFractionDigits: 2 })}</dd></>)}
        </dl>
      ) : (
        <p className="muted flat">{t('detections/costUnknown')}</p>
      )}
    </Panel>
  );
}
