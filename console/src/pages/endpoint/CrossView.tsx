// Where the kernel and what it tells programs differ on this endpoint, and the button to look again.
import { Button } from '@mantine/core';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useSearchPages } from '../../api/hooks';
import type { Endpoint, EventRow, Plan } from '../../api/types';
import type { EvidenceTarget } from '../../components/EvidenceDialog';
import { LossNote } from '../../components/LossNote';
import { Blank, More, Panel, Ready } from '../../components/Panel';
import { PlanRow } from '../../components/PlanChip';
import { Stamp } from '../../components/Time';
import { Val } from '../../components/Val';
import { clause } from '../../lib/query';
import { recent } from '../../lib/time';

const COLUMNS = ['type', 'subject', 'technique', 'seen_by', 'missing_from', 'detail'] as const;
const LIMIT = 200;
const PLANS_SHOWN = 3;

interface Props {
  endpoint: Endpoint;
  plans: Plan[];
  onAsk: (target: EvidenceTarget) => void;
}

export function CrossView({ endpoint, plans, onAsk }: Props) {
  const { t } = useTranslation();
  const range = useMemo(() => recent('7d'), []);
  const q = `${clause('device.uid', endpoint.id)} AND class:crossview.discrepancy`;
  const answer = useSearchPages({ q, ...range, limit: LIMIT });
  const asked = plans.filter((plan) => plan.verb === 'crossview').slice(0, PLANS_SHOWN);
  return (
    <div className="stack evidence">
      <div className="row wrap">
        <Button variant="default" onClick={() => onAsk({ verb: 'crossview', endpoint })}>{t('crossview/run')}</Button>
        <span className="muted">{t('crossview/what')}</span>
      </div>
      {asked.length > 0 && (
        <Panel title={t('crossview/plans')} body="flush">{asked.map((plan) => <PlanRow key={plan.id} plan={plan} />)}</Panel>
      )}
      <Panel title={t('crossview/found')} body="flush">
        <Ready answer={answer}>
          {(data) => {
            const events = data.pages.flatMap((page) => page.items);
            return (
              <>
                <LossNote loss={data.pages[0]?.loss ?? []} />
                {events.length === 0 ? <Blank>{t('crossview/empty')}</Blank> : <Found events={events} />}
                <More answer={answer} />
              </>
            );
          }}
        </Ready>
      </Panel>
    </div>
  );
}

function Found({ events }: { events: EventRow[] }) {
  const { t } = useTranslation();
  return (
    <table className="table table--wrap">
      <thead>
        <tr>
          <th className="w-stamp">{t('search/time')}</th>
          {COLUMNS.map((name) => <th key={name}>{t(`crossview/col/${name}`)}</th>)}
        </tr>
      </thead>
      <tbody>
        {events.map((event) => (
          <tr key={event.id}>
            <td><Stamp time={event.time} /></td>
            {COLUMNS.map((name) => (
              <td key={name}><Val field={`discrepancy.${name}`} value={event.fields[`discrepancy.${name}`]} endpoint={event.endpoint} /></td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
