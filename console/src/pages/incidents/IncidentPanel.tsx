// One incident: its alerts, what they share (so that one can disagree), and what people changed.
import { Button } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useMemo, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useSession } from '../../api/hooks';
import { useChangeIncident, useIncident } from '../../api/incidents';
import type { IncidentDetail } from '../../api/types';
import { Icon } from '../../components/icons';
import { Ready } from '../../components/Panel';
import { Score } from '../../components/Severity';
import { StatusMenu } from '../../components/StatusMenu';
import { Stamp } from '../../components/Time';
import { toast } from '../../components/toast';
import { SafeText, Val } from '../../components/Val';
import { useKeys } from '../../lib/keys';
import { strandsOf } from '../../lib/strands';
import { told } from '../../lib/told';
import { useTriage } from '../../lib/triage';
import { useUrl } from '../../lib/url';
import { Together } from './Together';
import { Why } from './Why';

export function IncidentPanel({ id, onClose }: { id: string; onClose: () => void }) {
  const { t } = useTranslation();
  const answer = useIncident(id);
  return (
    <aside className="panel search__panel" aria-label={t('incidents/one')}>
      <header className="panel__head">
        <h2 className="ellipsis">{answer.data ? <SafeText text={answer.data.title} /> : t('incidents/one')}</h2>
        <span className="spacer" />
        <button type="button" className="iconbtn" aria-label={t('search/close')} title={t('search/close')} onClick={onClose}><Icon name="close" /></button>
      </header>
      <div className="panel__body panel__body--scroll side" tabIndex={0} role="group" aria-label={t('incidents/one')}>
        <Ready answer={answer}>{(one) => <Body one={one} />}</Ready>
      </div>
    </aside>
  );
}

function Body({ one }: { one: IncidentDetail }) {
  const { t } = useTranslation();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const strands = useMemo(() => strandsOf(one.alerts), [one.alerts]);
  return (
    <>
      <section>
        <div className="row wrap">
          <Score score={one.score} level={one.level} /><span className="muted">{t(`level/${one.level}`)}</span><span className="chip">{t(`status/${one.status}`)}</span>
          <span className="spacer" />
          <Triage one={one} />
        </div>
        <dl className="facts">
          <dt>{t('incidents/hosts')}</dt><dd className="row wrap">{one.hosts.map((host) => <Val key={host} field="device.hostname" value={host} />)}</dd>
          <dt>{t('incidents/users')}</dt><dd className="row wrap">{one.users.map((user) => <Val key={user} field="process.user.name" value={user} />)}</dd>
          <dt>{t('incidents/time')}</dt><dd><Stamp time={one.first} /> – <Stamp time={one.last} form={one.first.slice(0, 10) === one.last.slice(0, 10) ? 'clock' : undefined} /></dd>
          <dt>{t('alerts/tactic')}</dt><dd>{one.tactics.map((tactic) => t([`tactic/${tactic}`, tactic])).join(', ')}</dd>
        </dl>
      </section>
      <Why one={one} strands={strands} onChoose={(alerts) => setChosen(new Set(alerts))} />
      <Together one={one} strands={strands} chosen={chosen} onChosen={setChosen} />
      <History one={one} />
    </>
  );
}

/** Owner, status and finding of all its alerts at once; `Enter` opens the heaviest. */
function Triage({ one }: { one: IncidentDetail }) {
  const { t } = useTranslation();
  const { data: session } = useSession();
  const me = session?.user.name;
  const navigate = useNavigate();
  const triage = useTriage();
  const [menu, setMenu] = useState<'open' | 'closed'>('closed');
  const own = () => me && void triage(one.alerts, { assignee: me });
  useKeys({
    a: own,
    s: () => setMenu('open'),
    Enter: () => {
      const lead = [...one.alerts].sort((a, b) => b.score - a.score)[0];
      if (lead) void navigate({ to: '/alerts/$id', params: { id: lead.id } });
    },
  });
  return (
    <>
      <button type="button" className="iconbtn iconbtn--line" onClick={own}>{t('alerts/assign')}</button>
      <StatusMenu opened={menu} onOpened={setMenu} label={t('alerts/setStatus')} onPick={(patch) => void triage(one.alerts, patch)} />
    </>
  );
}

function History({ one }: { one: IncidentDetail }) {
  const { t } = useTranslation();
  const [, change] = useUrl();
  const undo = useChangeIncident();
  const back = () =>
    undo.mutate(
      { how: 'undo', id: one.id },
      {
        onSuccess: () => {
          change({ open: one.alerts[0]?.id }, 'replace');
          toast(t('incidents/undone'));
        },
        onError: (problem) => toast(told(problem)),
      },
    );
  return (
    <section>
      <div className="row">
        <h3>{t('incidents/history')}</h3>
        <span className="spacer" />
        {one.history.length > 0 && <Button size="compact-xs" variant="default" loading={undo.isPending} onClick={back}>{t('incidents/undo')}</Button>}
      </div>
      {one.history.length === 0 ? <p className="muted flat">{t('incidents/untouched')}</p> : (
        <ol className="history">
          {one.history.map((each, index) => (
            <li key={index}>
              <div className="muted"><Stamp time={each.time} /> · <SafeText text={each.actor} /></div>
              <div><SafeText text={each.what} /></div>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
