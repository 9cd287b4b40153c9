// One endpoint: what it sees and cannot see, how it does, what it lost, what runs on it.
import { Link, useParams } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useAlertPages, useEndpoint, usePlans, useSearchPages } from '../../api/hooks';
import type { Endpoint, Plan } from '../../api/types';
import { EvidenceDialog } from '../../components/EvidenceDialog';
import type { EvidenceTarget } from '../../components/EvidenceDialog';
import { LossTable } from '../../components/LossNote';
import { Blank, Panel, Ready } from '../../components/Panel';
import { PlanRow } from '../../components/PlanChip';
import { Score } from '../../components/Severity';
import { Status } from '../../components/Status';
import { TerminateDialog } from '../../components/TerminateDialog';
import type { TerminateTarget } from '../../components/TerminateDialog';
import { Tabs } from '../../components/Tabs';
import { Age } from '../../components/Time';
import { SafeText } from '../../components/Val';
import { clause } from '../../lib/query';
import { recent } from '../../lib/time';
import { useUrl } from '../../lib/url';
import { BlindSpots, CannotFire, Hooks } from './Coverage';
import { CrossView } from './CrossView';
import { Evidence } from './Evidence';
import { Facts, HealthFacts } from './Facts';
import { HealthOver } from './HealthOver';
import { Inventory } from './Inventory';
import { Processes } from './Processes';

export function EndpointPage() {
  const { id } = useParams({ strict: false });
  const answer = useEndpoint(id ?? '');
  return (
    <div className="page page--fill">
      <Ready answer={answer}>{(endpoint) => <Body key={endpoint.id} endpoint={endpoint} />}</Ready>
    </div>
  );
}

function Body({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const [target, setTarget] = useState<TerminateTarget>();
  const [asked, setAsked] = useState<EvidenceTarget>();
  const active = url['tab'] ?? 'state';
  const plans = usePlans({ endpoint: endpoint.id });
  return (
    <>
      <header className="page__head">
        <h1><SafeText text={endpoint.host} /></h1>
        <Status state={endpoint.status} />
        {endpoint.tier && <span className="chip">{t('tier/short', { n: endpoint.tier })}</span>}
        <span className="muted"><SafeText text={[endpoint.os, endpoint.kernel].filter(Boolean).join(' · ')} /></span>
        <span className="spacer" />
        <Link to="/search" search={{ q: clause('device.uid', endpoint.id) } as never}>{t('nav/search')}</Link>
      </header>
      {endpoint.degraded.length > 0 && <p className="warn"><SafeText text={endpoint.degraded.join(' · ')} /></p>}
      <section className="panel panel--grow">
        <Tabs
          label={t('endpoint/tabs')}
          active={active}
          onPick={(tab) => change({ tab: tab === 'state' ? undefined : tab }, 'replace')}
          tabs={[
            { key: 'state', label: t('endpoint/overview') },
            { key: 'processes', label: t('endpoint/processes') },
            { key: 'inventory', label: t('inventory/title') },
            { key: 'crossview', label: t('crossview/title') },
            { key: 'evidence', label: t('evidence/title') },
            { key: 'alerts', label: t('endpoint/alerts') },
            { key: 'responses', label: t('response/list'), count: plans.data?.items.length },
            { key: 'loss', label: t('endpoint/loss'), count: endpoint.loss.length },
          ]}
        >
          {active === 'state' && <State endpoint={endpoint} />}
          {active === 'processes' && <ProcessTab endpoint={endpoint} onTerminate={setTarget} onAsk={setAsked} />}
          {active === 'inventory' && <Inventory endpoint={endpoint} />}
          {active === 'crossview' && <CrossView endpoint={endpoint} plans={plans.data?.items ?? []} onAsk={setAsked} />}
          {active === 'evidence' && <Evidence endpoint={endpoint} plans={plans.data?.items ?? []} onAsk={setAsked} />}
          {active === 'alerts' && <Alerts endpoint={endpoint} />}
          {active === 'responses' && <Plans plans={plans.data?.items ?? []} />}
          {active === 'loss' &&
            (endpoint.loss.length === 0 ? <Blank>{t('loss/nothing')}</Blank> : <LossTable loss={endpoint.loss} />)}
        </Tabs>
      </section>
      <EvidenceDialog
        target={asked}
        onClose={() => setAsked(undefined)}
        onPlan={(plan) => {
          setAsked(undefined);
          change({ tab: plan.verb === 'crossview' ? 'crossview' : 'evidence' }, 'push');
        }}
      />
      <TerminateDialog
        target={target}
        onClose={() => setTarget(undefined)}
        onPlan={() => {
          setTarget(undefined);
          change({ tab: 'responses' }, 'push');
        }}
      />
    </>
  );
}

function State({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  return (
    <div className="endpoint">
      <div className="stack">
        <HealthOver endpoint={endpoint} />
        <Panel title={t('endpoint/facts')}><Facts endpoint={endpoint} /></Panel>
        <Panel title={t('endpoint/health')}><HealthFacts endpoint={endpoint} /></Panel>
      </div>
      <div className="stack">
      <Panel title={t('endpoint/blind')} body="flush">
        {endpoint.coverage ? <BlindSpots coverage={endpoint.coverage} /> : <Blank>{t('endpoint/noCoverage')}</Blank>}
      </Panel>
      <Panel title={t('endpoint/cannotFire')} body="flush">
        {endpoint.coverage ? <CannotFire coverage={endpoint.coverage} /> : <Blank>{t('endpoint/noCoverage')}</Blank>}
      </Panel>
      <Panel title={t('endpoint/hooks')} body="flush">
        {endpoint.coverage ? <Hooks coverage={endpoint.coverage} /> : <Blank>{t('endpoint/noCoverage')}</Blank>}
      </Panel>
      </div>
    </div>
  );
}

const PROCESS_LIMIT = 200;

interface ProcessTabProps {
  endpoint: Endpoint;
  onTerminate: (target: TerminateTarget) => void;
  onAsk: (target: EvidenceTarget) => void;
}

function ProcessTab({ endpoint, onTerminate, onAsk }: ProcessTabProps) {
  const range = useMemo(() => recent('24h'), []);
  const q = `${clause('device.uid', endpoint.id)} AND class:(process.exec OR process.exit)`;
  const answer = useSearchPages({ q, ...range, limit: PROCESS_LIMIT });
  return (
    <Ready answer={answer}>
      {(data) => <Processes endpoint={endpoint} events={data.pages.flatMap((page) => page.items)} onTerminate={onTerminate} onAsk={onAsk} />}
    </Ready>
  );
}

function Alerts({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  const answer = useAlertPages({ endpoint: endpoint.id, limit: 100 });
  return (
    <Ready answer={answer}>
      {(data) => {
        const items = data.pages.flatMap((page) => page.items);
        if (items.length === 0) return <Blank>{t('alerts/empty')}</Blank>;
        return (
          <table className="table">
            <tbody>
              {items.map((one) => (
                <tr key={one.id}>
                  <td className="w-score"><Score score={one.score} level={one.level} /></td>
                  <td><Link to="/alerts/$id" params={{ id: one.id }}><SafeText text={one.title} /></Link></td>
                  <td className="w-status"><span className="chip">{t(`status/${one.status}`)}</span></td>
                  <td className="w-age"><Age time={one.last} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        );
      }}
    </Ready>
  );
}

function Plans({ plans }: { plans: Plan[] }) {
  const { t } = useTranslation();
  if (plans.length === 0) return <Blank>{t('response/empty')}</Blank>;
  return <>{plans.map((plan) => <PlanRow key={plan.id} plan={plan} />)}</>;
}
