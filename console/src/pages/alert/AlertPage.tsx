// One alert: its steps, its process tree and its timeline show one selection, kept in the URL.
import { useParams } from '@tanstack/react-router';
import { lazy, Suspense, useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useAlert, useAlertTimeline, useAlertTree, useEndpoint, usePlans } from '../../api/hooks';
import type { AlertDetail, EventRow, Plan } from '../../api/types';
import { EvidenceDialog } from '../../components/EvidenceDialog';
import { LossNote } from '../../components/LossNote';
import { Blank, Ready } from '../../components/Panel';
import { PlanRow } from '../../components/PlanChip';
import type { EvidenceAsk } from '../../components/ProcessProfile';
import { TerminateDialog } from '../../components/TerminateDialog';
import type { TerminateTarget } from '../../components/TerminateDialog';
import { Tabs } from '../../components/Tabs';
import { useKeys } from '../../lib/keys';
import { lit, ofHighlight } from '../../lib/selection';
import type { Lit } from '../../lib/selection';
import { forestOf } from '../../lib/tree';
import { useUrl } from '../../lib/url';
import { AlertHead } from './AlertHead';
import { Highlights } from './Highlights';
import { SidePanel } from './SidePanel';
import { Timeline } from './Timeline';
import { TreeOutline } from './TreeOutline';

const TreeGraph = lazy(() => import('./TreeGraph'));

export function AlertPage() {
  const { id } = useParams({ strict: false });
  const answer = useAlert(id ?? '');
  return (
    <div className="page page--fill">
      <Ready answer={answer}>{(alert) => <Body key={alert.id} alert={alert} />}</Ready>
    </div>
  );
}

const NO_EVENTS: EventRow[] = [];

function useTerminateTarget(alert: AlertDetail, uid: string | undefined): TerminateTarget {
  const tree = useAlertTree(alert.id);
  const endpoint = useEndpoint(alert.endpoint);
  const wanted = uid ?? alert.storyline;
  const node = tree.data?.nodes.find((one) => one.uid === wanted);
  return {
    endpoint: alert.endpoint,
    host: alert.host ?? alert.endpoint,
    status: endpoint.data?.status,
    alert: alert.id,
    process: node ?? { uid: wanted, name: alert.process?.uid === wanted ? alert.process.name : null },
  };
}

function Body({ alert }: { alert: AlertDetail }) {
  const [url, change] = useUrl();
  const timeline = useAlertTimeline(alert.id);
  const events = timeline.data?.items ?? NO_EVENTS;
  const shown = useMemo(() => lit(url['sel'], alert.highlights, events), [url, alert, events]);
  const [asking, setAsking] = useState<'yes' | 'no'>('no');
  const [asked, setAsked] = useState<EvidenceAsk>();
  const [sent, setSent] = useState<Plan[]>([]);
  const target = useTerminateTarget(alert, shown.process);
  const onPlan = (plan: Plan) => {
    setAsking('no');
    setAsked(undefined);
    setSent((before) => [...before, plan]);
  };
  const select = (sel: string | undefined) => change({ sel }, 'push');
  const step = (by: number) => {
    const at = alert.highlights.findIndex((one) => one.key === url['sel']?.slice(2));
    const next = alert.highlights[Math.min(alert.highlights.length - 1, Math.max(0, at + by))];
    if (next) change({ sel: ofHighlight(next.key) }, 'replace');
  };
  useKeys({ j: () => step(1), k: () => step(-1), Escape: () => select(undefined) });
  return (
    <>
      <AlertHead alert={alert} onTerminate={() => setAsking('yes')} />
      <Responses alert={alert} sent={sent} />
      <LossNote loss={alert.loss} />
      <div className="alert">
        <Highlights alert={alert} shown={shown} onSelect={select} />
        <Centre alert={alert} shown={shown} onSelect={select} />
        <SidePanel alert={alert} shown={shown} events={events} onTerminate={() => setAsking('yes')} onAsk={setAsked} />
      </div>
      <TerminateDialog
        target={asking === 'yes' ? target : undefined}
        onClose={() => setAsking('no')}
        onPlan={onPlan}
      />
      <EvidenceDialog
        target={asked && { ...asked, alert: alert.id, endpoint: { id: alert.endpoint, host: target.host, ...(target.status ? { status: target.status } : {}) } }}
        onClose={() => setAsked(undefined)}
        onPlan={onPlan}
      />
    </>
  );
}

function Responses({ alert, sent }: { alert: AlertDetail; sent: Plan[] }) {
  const plans = usePlans({ endpoint: alert.endpoint, alert: alert.id });
  const known = plans.data?.items ?? [];
  const mine = sent.map((plan) => known.find((one) => one.id === plan.id) ?? plan);
  const running = known.filter(
    (one) => ['queued', 'delivered', 'running'].includes(one.state) && !mine.some((p) => p.id === one.id),
  );
  if (mine.length + running.length === 0) return null;
  return <div className="panel">{[...mine, ...running].map((plan) => <PlanRow key={plan.id} plan={plan} />)}</div>;
}

interface CentreProps {
  alert: AlertDetail;
  shown: Lit;
  onSelect: (sel: string | undefined) => void;
}

function Centre({ alert, shown, onSelect }: CentreProps) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const view = url['view'] ?? 'tree';
  const tree = useAlertTree(alert.id);
  const timeline = useAlertTimeline(alert.id);
  const forest = useMemo(() => forestOf(tree.data?.nodes ?? []), [tree.data]);
  return (
    <section className="panel alert__centre">
      <Tabs
        label={t('alert/tree')}
        active={view}
        onPick={(next) => change({ view: next === 'tree' ? undefined : next }, 'replace')}
        tabs={[
          { key: 'tree', label: t('alert/tree') },
          { key: 'graph', label: t('alert/graph') },
          { key: 'timeline', label: t('alert/timeline') },
        ]}
      >
        {view === 'timeline' ? (
          <Ready answer={timeline}>
            {(page) =>
              page.items.length === 0 ? (
                <Blank>{t('alert/eventsEmpty')}</Blank>
              ) : (
                <>
                  {(page.next || page.truncated) && <p className="warn">{t('alert/timelineCut')}</p>}
                  <Timeline events={page.items} highlights={alert.highlights} shown={shown} onSelect={onSelect} />
                </>
              )
            }
          </Ready>
        ) : (
          <Ready answer={tree}>
            {(data) =>
              data.nodes.length === 0 ? (
                <Blank>{t('alert/treeEmpty')}</Blank>
              ) : (
                <>
                  {data.truncated && <p className="warn">{t('alert/truncated')}</p>}
                  {view === 'graph' ? (
                    <Suspense fallback={<Blank>{t('state/loading')}</Blank>}>
                      <TreeGraph forest={forest} focus={shown.process} onSelect={onSelect} />
                    </Suspense>
                  ) : (
                    <TreeOutline forest={forest} focus={shown.process} onSelect={onSelect} />
                  )}
                </>
              )
            }
          </Ready>
        )}
      </Tabs>
    </section>
  );
}

