// One incident: its alerts, what they share (so that one can disagree), and what people changed.
import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useChangeIncident, useIncident } from '../../api/incidents';
import type { IncidentDetail, IncidentReason } from '../../api/types';
import { Icon } from '../../components/icons';
import { Ready } from '../../components/Panel';
import { Score } from '../../components/Severity';
import { Stamp } from '../../components/Time';
import { toast } from '../../components/toast';
import { SafeText, Val } from '../../components/Val';
import { useUrl } from '../../lib/url';

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
  return (
    <>
      <section>
        <p className="row wrap flat"><Score score={one.score} level={one.level} /><span className="muted">{t(`level/${one.level}`)}</span><span className="chip">{t(`status/${one.status}`)}</span></p>
        <dl className="facts">
          <dt>{t('incidents/hosts')}</dt><dd className="row wrap">{one.hosts.map((host) => <Val key={host} field="device.hostname" value={host} />)}</dd>
          <dt>{t('incidents/users')}</dt><dd className="row wrap">{one.users.map((user) => <Val key={user} field="process.user.name" value={user} />)}</dd>
          <dt>{t('incidents/time')}</dt><dd><Stamp time={one.first} /> – <Stamp time={one.last} form="clock" /></dd>
          <dt>{t('alerts/tactic')}</dt><dd>{one.tactics.map((tactic) => t([`tactic/${tactic}`, tactic])).join(', ')}</dd>
        </dl>
      </section>
      <Why one={one} onChoose={(alerts) => setChosen(new Set(alerts))} />
      <Alerts one={one} chosen={chosen} onChosen={setChosen} />
      <History one={one} />
    </>
  );
}

const FIELDS: Record<string, string> = { user: 'process.user.name', hash: 'file.hash.sha256', address: 'dst_endpoint.ip', domain: 'query.hostname', storyline: 'process.storyline', process: 'process.uid' };
/** More alerts than this do not fit side by side: then their number is said. */
const COLUMNS = 12;

/** What is shared, by whom: a dot under the number of each alert that shares it. */
function Why({ one, onChoose }: { one: IncidentDetail; onChoose: (alerts: string[]) => void }) {
  const { t } = useTranslation();
  if (one.alerts.length < 2) return <section><h3>{t('incidents/why')}</h3><p className="muted flat">{t('incidents/alone')}</p></section>;
  const grid = one.alerts.length <= COLUMNS;
  return (
    <section>
      <h3>{t('incidents/whyTogether')}</h3>
      <table className="table why-grid">
        <thead>
          <tr>
            <th>{t('incidents/shared')}</th>
            {grid ? one.alerts.map((alert, index) => <th key={alert.id} className="why-grid__col" title={alert.title}>{index + 1}</th>) : <th className="w-num num">{t('incidents/alerts')}</th>}
          </tr>
        </thead>
        <tbody>
          {one.why.map((reason, index) => (
            <tr key={index}>
              <td>
                <button type="button" className="linklike" title={t('incidents/choose')} onClick={() => onChoose(reason.alerts)}>{t([`incidents/kind/${reason.kind}`, reason.kind])}</button>{' '}
                <Shared reason={reason} one={one} />
              </td>
              {grid ? one.alerts.map((alert) => (
                <td key={alert.id} className="why-grid__col">
                  {reason.alerts.includes(alert.id) && <><span aria-hidden="true">●</span><span className="sr-only">{t('incidents/shares')}</span></>}
                </td>
              )) : <td className="num">{reason.alerts.length}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Shared({ reason, one }: { reason: IncidentReason; one: IncidentDetail }) {
  if (reason.value === '') return null;
  if (reason.kind === 'host-time') {
    const there = one.alerts.find((alert) => alert.endpoint === reason.value);
    return <Val field="device.hostname" value={there?.host ?? reason.value} endpoint={reason.value} />;
  }
  const field = FIELDS[reason.kind];
  return field ? <Val field={field} value={reason.value} /> : <SafeText text={reason.value} />;
}

interface AlertsProps {
  one: IncidentDetail;
  chosen: ReadonlySet<string>;
  onChosen: (chosen: ReadonlySet<string>) => void;
}

function Alerts({ one, chosen, onChosen }: AlertsProps) {
  const { t } = useTranslation();
  const [, change] = useUrl();
  const split = useChangeIncident();
  const toggle = (id: string) => {
    const after = new Set(chosen);
    if (!after.delete(id)) after.add(id);
    onChosen(after);
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
        onError: (problem) => toast(problem.message),
      },
    );
  return (
    <section>
      <div className="row">
        <h3>{t('incidents/alerts')}</h3>
        <span className="spacer" />
        {one.alerts.length > 1 && <Button size="compact-xs" variant="default" disabled={out.length === 0 || out.length === one.alerts.length} loading={split.isPending} onClick={apart}>{t('incidents/split', { count: out.length })}</Button>}
      </div>
      <ol className="together">
        {one.alerts.map((alert, index) => (
          <li key={alert.id} data-alert={alert.id} data-lit={chosen.has(alert.id) ? 'yes' : 'no'}>
            {one.alerts.length > 1 && <input type="checkbox" aria-label={t('alerts/select', { title: alert.title })} checked={chosen.has(alert.id)} onChange={() => toggle(alert.id)} />}
            <span className="step__no">{index + 1}</span>
            <div className="together__what">
              <div className="row"><Score score={alert.score} level={alert.level} /><Link className="ellipsis" to="/alerts/$id" params={{ id: alert.id }}><SafeText text={alert.title} /></Link></div>
              <div className="row muted"><Stamp time={alert.first} /><Val field="device.hostname" value={alert.host} endpoint={alert.endpoint} /><Val field="process.user.name" value={alert.user} /></div>
            </div>
          </li>
        ))}
      </ol>
    </section>
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
        onError: (problem) => toast(problem.message),
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
