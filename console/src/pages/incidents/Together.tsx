// The alerts of an incident, those of one storyline as one; marked ones can be taken out.
import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useChangeIncident } from '../../api/incidents';
import type { AlertSummary, IncidentDetail } from '../../api/types';
import { Score } from '../../components/Severity';
import { Stamp } from '../../components/Time';
import { toast } from '../../components/toast';
import { SafeText, Val } from '../../components/Val';
import { alertsOf } from '../../lib/strands';
import type { Strand } from '../../lib/strands';
import { told } from '../../lib/told';
import { useUrl } from '../../lib/url';

interface Props {
  one: IncidentDetail;
  strands: Strand[];
  chosen: ReadonlySet<string>;
  onChosen: (chosen: ReadonlySet<string>) => void;
}

export function Together({ one, strands, chosen, onChosen }: Props) {
  const { t } = useTranslation();
  const [, change] = useUrl();
  const split = useChangeIncident();
  const [unfolded, setUnfolded] = useState<ReadonlySet<string>>(new Set());
  const set = (ids: string[], to: 'in' | 'out') => {
    const after = new Set(chosen);
    for (const id of ids) if (to === 'in') after.add(id); else after.delete(id);
    onChosen(after);
  };
  const fold = (id: string) => {
    const after = new Set(unfolded);
    if (!after.delete(id)) after.add(id);
    setUnfolded(after);
  };
  const out = one.alerts.filter((alert) => chosen.has(alert.id)).map((alert) => alert.id);
  const apart = () =>
    split.mutate(
      { how: 'split', id: one.id, alerts: out },
      {
        onSuccess: () => {
          onChosen(new Set());
          const stays = one.alerts.find((alert) => !out.includes(alert.id));
          change({ open: stays?.id }, 'replace');
          toast(t('incidents/splitDone'));
        },
        onError: (problem) => toast(told(problem)),
      },
    );
  const several = one.alerts.length > 1;
  return (
    <section>
      <div className="row">
        <h3>{t('incidents/alerts')}</h3>
        <span className="spacer" />
        {several && <Button size="compact-xs" variant="default" disabled={out.length === 0 || out.length === one.alerts.length} loading={split.isPending} onClick={apart}>{t('incidents/split', { count: out.length })}</Button>}
      </div>
      <ol className="together">
        {strands.map((strand, index) => {
          const open = unfolded.has(strand.lead.id);
          // Folded, the mark stands for all of the storyline.
          const meant = open ? [strand.lead.id] : alertsOf(strand).map((alert) => alert.id);
          return (
            <li key={strand.lead.id} data-lit={meant.some((id) => chosen.has(id)) ? 'yes' : 'no'}>
              <div className="together__row" data-alert={strand.lead.id}>
                {several && <Mark alert={strand.lead} ids={meant} chosen={chosen} onSet={set} />}
                <span className="step__no">{index + 1}</span>
                <What alert={strand.lead} />
              </div>
              {strand.also.length > 0 && (
                <>
                  <button type="button" className="linklike together__also" aria-expanded={open} onClick={() => fold(strand.lead.id)}>{t(open ? 'incidents/alsoFold' : 'incidents/also', { count: strand.also.length })}</button>
                  {open ? (
                    <ul className="together__more">
                      {strand.also.map((alert) => (
                        <li key={alert.id} className="together__row" data-alert={alert.id}>
                          <Mark alert={alert} ids={[alert.id]} chosen={chosen} onSet={set} />
                          <What alert={alert} />
                        </li>
                      ))}
                    </ul>
                  ) : (
                    <p className="together__titles muted"><SafeText text={[...new Set(strand.also.map((alert) => alert.title))].join(' · ')} /></p>
                  )}
                </>
              )}
            </li>
          );
        })}
      </ol>
    </section>
  );
}

interface MarkProps {
  alert: AlertSummary;
  ids: string[];
  chosen: ReadonlySet<string>;
  onSet: (ids: string[], to: 'in' | 'out') => void;
}

function Mark({ alert, ids, chosen, onSet }: MarkProps) {
  const { t } = useTranslation();
  const all = ids.every((id) => chosen.has(id));
  const part = !all && ids.some((id) => chosen.has(id));
  return <input type="checkbox" ref={(box) => { if (box) box.indeterminate = part; }} aria-label={t('alerts/select', { title: alert.title })} checked={all} onChange={() => onSet(ids, all ? 'out' : 'in')} />;
}

function What({ alert }: { alert: AlertSummary }) {
  return (
    <div className="together__what">
      <div className="row"><Score score={alert.score} level={alert.level} /><Link className="ellipsis" to="/alerts/$id" params={{ id: alert.id }}><SafeText text={alert.title} /></Link></div>
      <div className="row muted"><Stamp time={alert.first} /><Val field="device.hostname" value={alert.host} endpoint={alert.endpoint} /><Val field="process.user.name" value={alert.user} /></div>
    </div>
  );
}
