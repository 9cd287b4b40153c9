// Who an endpoint is and how its sensor does.
import { useTranslation } from 'react-i18next';

import type { Endpoint } from '../../api/types';
import { Age, Stamp } from '../../components/Time';
import { SafeText, Val } from '../../components/Val';
import { bytes, count, millis } from '../../lib/format';

const TIERS = ['', 'lsm', 'tracing', 'interfaces'];

export function Facts({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  const tier = endpoint.tier ? t(`tier/${TIERS[endpoint.tier] ?? 'short'}`, { n: endpoint.tier }) : t('state/unknown');
  return (
    <dl className="facts">
      <dt>{t('endpoint/id')}</dt><dd><Val field="device.uid" value={endpoint.id} type="process" /></dd>
      <dt>{t('endpoints/tier')}</dt><dd>{tier}</dd>
      <dt>{t('endpoint/scope')}</dt><dd className="mono"><SafeText text={endpoint.scope ?? '–'} /></dd>
      <dt>{t('endpoint/addresses')}</dt>
      <dd>{endpoint.addresses.length === 0 ? '–' : endpoint.addresses.map((one) => <span key={one} className="gap"><Val field="src_endpoint.ip" value={one} /></span>)}</dd>
      <dt>{t('endpoints/version')}</dt><dd><SafeText text={endpoint.version ?? '–'} /></dd>
      <dt>{t('endpoint/policy')}</dt><dd><SafeText text={endpoint.policy_version ?? '–'} /></dd>
      <dt>{t('endpoint/content')}</dt><dd className="mono"><SafeText text={endpoint.content_version ?? '–'} /></dd>
      <dt>{t('endpoint/enrolled')}</dt><dd><Stamp time={endpoint.enrolled} /></dd>
      <dt>{t('endpoints/seen')}</dt><dd><Stamp time={endpoint.last_seen} /> <span className="muted">(<Age time={endpoint.last_seen} />)</span></dd>
      {endpoint.coverage?.facts.map((fact) => (
        <div key={fact.name} style={{ display: 'contents' }}>
          <dt><SafeText text={fact.name} /></dt><dd><SafeText text={fact.value} /></dd>
        </div>
      ))}
    </dl>
  );
}

export function HealthFacts({ endpoint }: { endpoint: Endpoint }) {
  const { t, i18n } = useTranslation();
  const { health } = endpoint;
  return (
    <dl className="facts">
      <dt>{t('endpoint/lag')}</dt><dd>{millis(health.lag_ms)}</dd>
      <dt>{t('endpoint/skew')}</dt><dd>{millis(endpoint.clock_skew_ms)}</dd>
      <dt>{t('endpoint/spool')}</dt><dd>{bytes(health.spool_bytes)}</dd>
      <dt>{t('endpoint/lostTotal')}</dt><dd>{count(health.lost_total, i18n.language)}</dd>
      <dt>{t('endpoint/events')}</dt><dd>{count(health.events_total, i18n.language)}</dd>
      <dt>{t('endpoint/edgeHits')}</dt><dd>{count(health.edge_hits, i18n.language)}</dd>
      <dt>{t('endpoint/cpu')}</dt><dd>{millis(health.cpu_ms)}</dd>
      <dt>{t('endpoint/memory')}</dt><dd>{bytes(health.rss_bytes)}</dd>
      <dt>{t('endpoint/sees')}</dt>
      <dd>{endpoint.coverage?.sees.map((one) => t([`class/${one}`, one])).join(', ') ?? '–'}</dd>
    </dl>
  );
}
