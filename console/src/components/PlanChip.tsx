// A response as a chip with its states, kept live while it is not over.
import { Button } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useCancelPlan, usePlan } from '../api/hooks';
import type { Plan, PlanState } from '../api/types';
import { usePrefs } from '../lib/prefs';
import { stamp } from '../lib/time';
import { toast } from './toast';
import { Age } from './Time';
import { SafeText } from './Val';

const WAY: PlanState[] = ['queued', 'delivered', 'running', 'done'];
const OVER: ReadonlySet<PlanState> = new Set(['done', 'failed', 'expired', 'cancelled']);

export function isOver(state: PlanState): boolean {
  return OVER.has(state);
}

/** What the sensor answered, in one line. */
export function resultText(result: unknown): string | undefined {
  if (result === null || result === undefined || result === '') return undefined;
  return typeof result === 'string' ? result : JSON.stringify(result);
}

function useLive(plan: Plan): Plan {
  const live = usePlan(isOver(plan.state) ? undefined : plan.id);
  // What is over stays over; the answer about it may be older than the list that says so.
  return !isOver(plan.state) && live.data?.id === plan.id ? live.data : plan;
}

function Steps({ state }: { state: PlanState }) {
  const { t } = useTranslation();
  const way = WAY.includes(state) ? WAY : [...WAY.slice(0, 1), state];
  const at = way.indexOf(state);
  return (
    <ol className="plan__way">
      {way.map((step, index) => (
        <li key={step} data-at={index === at ? 'here' : index < at ? 'past' : 'ahead'} aria-current={index === at ? 'step' : undefined}>
          {t(`response/state/${step}`)}
        </li>
      ))}
    </ol>
  );
}

export function PlanRow({ plan: first }: { plan: Plan }) {
  const { t } = useTranslation();
  const { zone } = usePrefs();
  const plan = useLive(first);
  const cancel = useCancelPlan();
  const last = plan.updates[plan.updates.length - 1];
  const detail = last?.detail || resultText(plan.result);
  return (
    <div className="plan" data-plan={plan.id} data-state={plan.state}>
      <div className="row wrap">
        <strong>{t([`response/verb/${plan.verb}`, plan.verb])}</strong>
        <SafeText text={plan.host ?? plan.endpoint.slice(0, 8)} />
        <Steps state={plan.state} />
        <span className="spacer" />
        <span className="muted"><Age time={plan.created} /></span>
        {plan.state === 'queued' && (
          <Button
            size="compact-xs"
            variant="default"
            loading={cancel.isPending}
            onClick={() => cancel.mutate(plan.id, { onError: (problem) => toast(problem.message) })}
          >
            {t('response/cancelPlan')}
          </Button>
        )}
      </div>
      <div className="plan__more muted">
        <SafeText text={plan.reason} /> · {t('response/by', { actor: plan.actor })}
        {!isOver(plan.state) && <> · {t('response/expires', { time: stamp(plan.expires, zone) })}</>}
        {detail && <> · <SafeText text={detail} /></>}
      </div>
    </div>
  );
}
