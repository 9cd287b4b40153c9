// "What needs me now": open alerts by weight, what runs, what is unwell.
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useOverview } from '../api/hooks';
import type { Level, Overview } from '../api/types';
import { Histogram } from '../components/Histogram';
import { Meter } from '../components/Meter';
import { Blank, Panel, Ready } from '../components/Panel';
import { PlanRow } from '../components/PlanChip';
import { Score, Severity } from '../components/Severity';
import { Age } from '../components/Time';
import { SafeText, Val } from '../components/Val';

const LEVELS: Level[] = ['critical', 'high', 'medium', 'low', 'informational'];
const HOUR_MS = 3_600_000;

export function OverviewPage() {
  const { t } = useTranslation();
  const answer = useOverview();
  return (
    <div className="page">
      <div className="page__head"><h1>{t('overview/title')}</h1></div>
      <Ready answer={answer}>{(data) => <Body data={data} />}</Ready>
    </div>
  );
}

function Body({ data }: { data: Overview }) {
  const { t } = useTranslation();
  return (
    <>
      <Tiles data={data} />
      <div className="overview">
        <div className="stack">
          <Attention data={data} />
          <Running data={data} />
        </div>
        <div className="stack">
          <Panel title={t('overview/perHour')}>
            {data.alerts_per_hour.length === 0 ? (
              <Blank>{t('overview/perHourEmpty')}</Blank>
            ) : (
              <Histogram
                height={84}
                label={t('overview/perHour')}
                bars={data.alerts_per_hour.map((one) => {
                  const from = Date.parse(one.time);
                  return { from, to: from + HOUR_MS, count: one.count };
                })}
              />
            )}
          </Panel>
          <Techniques data={data} />
          <Health data={data} />
        </div>
      </div>
    </>
  );
}

function Tiles({ data }: { data: Overview }) {
  const { t } = useTranslation();
  return (
    <div className="tiles">
      <div className="tile tile--wide">
        <Link to="/alerts" className="tile__main">
          <span className="tile__number">{data.alerts.open}</span>
          <span>{t('overview/open')}</span>
        </Link>
        <ul className="tile__parts">
          {LEVELS.map((level) => (
            <li key={level}>
              <Link to="/alerts" search={{ level } as never}>
                <Severity level={level} /> <strong>{data.alerts.by_level[level] ?? 0}</strong>
              </Link>
            </li>
          ))}
          <li><Link to="/alerts" search={{ assignee: 'me' } as never}>{t('overview/mine')} <strong>{data.alerts.mine}</strong></Link></li>
          <li><Link to="/alerts" search={{ assignee: 'none' } as never}>{t('overview/unassigned')} <strong>{data.alerts.unassigned}</strong></Link></li>
        </ul>
      </div>
      <div className="tile">
        <Link to="/endpoints" className="tile__main">
          <span className="tile__number">{data.endpoints.total}</span>
          <span>{t('overview/endpoints')}</span>
        </Link>
        <ul className="tile__parts">
          <li>
            <Link to="/endpoints" search={{ status: 'online' } as never} className="status" data-state="online">
              <span className="status__dot" />{t('overview/online')} <strong>{data.endpoints.online}</strong>
            </Link>
          </li>
          <li>
            <Link to="/endpoints" search={{ status: 'stale' } as never} className="status" data-state="stale">
              <span className="status__dot" />{t('overview/stale')} <strong>{data.endpoints.stale}</strong>
            </Link>
          </li>
          <li><Link to="/endpoints" search={{ status: 'degraded' } as never}>{t('overview/degraded')} <strong>{data.endpoints.degraded}</strong></Link></li>
        </ul>
      </div>
    </div>
  );
}

function Attention({ data }: { data: Overview }) {
  const { t } = useTranslation();
  return (
    <Panel title={t('overview/attention')} body="flush" tools={<Link to="/alerts">{t('overview/all')}</Link>}>
      {data.attention.length === 0 ? (
        <Blank>{t('overview/attentionEmpty')}</Blank>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th className="w-score--bare">{t('alerts/score')}</th>
              <th>{t('alerts/name')}</th>
              <th className="w-host">{t('alerts/host')}</th>
              <th className="w-age">{t('alerts/age')}</th>
              <th className="w-owner">{t('alerts/owner')}</th>
            </tr>
          </thead>
          <tbody>
            {data.attention.map((one) => (
              <tr key={one.id}>
                <td><Score score={one.score} level={one.level} /></td>
                <td><Link to="/alerts/$id" params={{ id: one.id }}><SafeText text={one.title} /></Link></td>
                <td><Val field="device.hostname" value={one.host} endpoint={one.endpoint} /></td>
                <td><Age time={one.last} /></td>
                <td>{one.assignee ? <SafeText text={one.assignee} /> : <span className="muted">{t('alerts/none')}</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

function Running({ data }: { data: Overview }) {
  const { t } = useTranslation();
  return (
    <Panel title={t('overview/running')} body="flush">
      {data.running.length === 0 ? (
        <Blank>{t('overview/runningEmpty')}</Blank>
      ) : (
        data.running.map((plan) => <PlanRow key={plan.id} plan={plan} />)
      )}
    </Panel>
  );
}

function Techniques({ data }: { data: Overview }) {
  const { t } = useTranslation();
  const most = Math.max(1, ...data.techniques.map((one) => one.count));
  return (
    <Panel title={t('overview/techniques')} body="flush" tools={<Link to="/techniques">{t('overview/all')}</Link>}>
      {data.techniques.length === 0 ? (
        <Blank>{t('overview/techniquesEmpty')}</Blank>
      ) : (
        <table className="table">
          <tbody>
            {data.techniques.slice(0, 8).map((one) => (
              <tr key={one.id}>
                <td className="w-tech mono">
                  <Link to="/techniques" search={{ open: one.id } as never}>{one.id}</Link>
                </td>
                <td><SafeText text={one.name} /></td>
                <td className="w-meter"><Meter value={one.count} max={most} /></td>
                <td className="w-num num">{one.count}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

function Health({ data }: { data: Overview }) {
  const { t } = useTranslation();
  return (
    <Panel title={t('overview/health')} body="flush">
      {data.degraded.length === 0 ? (
        <Blank>{t('overview/healthEmpty')}</Blank>
      ) : (
        <table className="table">
          <tbody>
            {data.degraded.map((one) => (
              <tr key={one.endpoint}>
                <td className="w-host">
                  <Link to="/endpoints/$id" params={{ id: one.endpoint }}><SafeText text={one.host} /></Link>
                </td>
                <td title={one.reasons.join(', ')}><SafeText text={one.reasons.join(', ')} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {data.loss.length > 0 && <p className="overview__loss">{t('overview/losses', { count: data.loss.length })}</p>}
    </Panel>
  );
}
