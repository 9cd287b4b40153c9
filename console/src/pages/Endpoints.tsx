// Every enrolled endpoint: is it there, what can it see, what did it lose.
import { NativeSelect, TextInput } from '@mantine/core';
import { Link, useNavigate } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useEndpoints } from '../api/hooks';
import type { Endpoint } from '../api/types';
import { Blank, Ready } from '../components/Panel';
import { Status } from '../components/Status';
import { Age } from '../components/Time';
import { SafeText } from '../components/Val';
import { count } from '../lib/format';
import { useUrl } from '../lib/url';

const STATES = ['', 'online', 'stale', 'offline', 'degraded'] as const;

function matches(endpoint: Endpoint, text: string, state: string): boolean {
  const wanted = text.normalize('NFKC').toLowerCase();
  const holds = [endpoint.host, endpoint.os, endpoint.id, ...endpoint.addresses].some((one) =>
    one?.toLowerCase().includes(wanted),
  );
  const stands =
    state === '' || endpoint.status === state || (state === 'degraded' && endpoint.degraded.length > 0);
  return holds && stands;
}

export function EndpointsPage() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const answer = useEndpoints();
  const state = url['status'] ?? '';
  return (
    <div className="page page--fill">
      <div className="page__head">
        <h1>{t('endpoints/title')}</h1>
        <TextInput
          w={220}
          aria-label={t('endpoints/find')}
          placeholder={t('endpoints/find')}
          value={url['q'] ?? ''}
          onChange={(event) => change({ q: event.currentTarget.value }, 'replace')}
        />
        <NativeSelect
          aria-label={t('endpoints/status')}
          value={state}
          onChange={(event) => change({ status: event.currentTarget.value }, 'replace')}
          data={STATES.map((value) => ({
            value,
            label: value === '' ? t('overview/all') : value === 'degraded' ? t('overview/degraded') : t(`endpoints/state/${value}`),
          }))}
        />
      </div>
      <section className="panel panel--grow" aria-label={t('endpoints/title')}>
        <Ready answer={answer}>
          {(data) => {
            const shown = data.items.filter((one) => matches(one, url['q'] ?? '', state));
            if (data.items.length === 0) return <Blank>{t('endpoints/empty')}</Blank>;
            if (shown.length === 0) return <Blank>{t('endpoints/noMatch')}</Blank>;
            return <Table endpoints={shown} />;
          }}
        </Ready>
      </section>
    </div>
  );
}

function Table({ endpoints }: { endpoints: Endpoint[] }) {
  const { t } = useTranslation();
  return (
    <div className="panel__body--scroll" tabIndex={0} role="group" aria-label={t('endpoints/title')}>
      <table className="table">
        <thead>
          <tr>
            <th className="w-host">{t('endpoints/host')}</th>
            <th className="w-status">{t('endpoints/status')}</th>
            <th className="w-tier">{t('endpoints/tier')}</th>
            <th className="w-os">{t('endpoints/os')}</th>
            <th className="w-os">{t('endpoints/kernel')}</th>
            <th className="w-user">{t('endpoints/version')}</th>
            <th className="w-age">{t('endpoints/seen')}</th>
            <th className="w-num num">{t('endpoints/lost')}</th>
            <th>{t('endpoints/issues')}</th>
          </tr>
        </thead>
        <tbody>{endpoints.map((one) => <Row key={one.id} endpoint={one} />)}</tbody>
      </table>
    </div>
  );
}

function Row({ endpoint }: { endpoint: Endpoint }) {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const issues = endpoint.degraded.join(', ');
  return (
    <tr data-link data-endpoint={endpoint.id} onClick={() => void navigate({ to: '/endpoints/$id', params: { id: endpoint.id } })}>
      <td>
        <Link to="/endpoints/$id" params={{ id: endpoint.id }} onClick={(event) => event.stopPropagation()}>
          <SafeText text={endpoint.host} />
        </Link>
      </td>
      <td><Status state={endpoint.status} /></td>
      <td>{endpoint.tier ? t('tier/short', { n: endpoint.tier }) : '–'}</td>
      <td><SafeText text={endpoint.os ?? '–'} /></td>
      <td className="mono"><SafeText text={endpoint.kernel ?? "–"} /></td>
      <td><SafeText text={endpoint.version ?? '–'} /></td>
      <td><Age time={endpoint.last_seen} /></td>
      <td className="num">{count(endpoint.health.lost_total, i18n.language)}</td>
      <td title={issues}>{issues === '' ? <span className="muted">–</span> : <SafeText text={issues} />}</td>
    </tr>
  );
}
