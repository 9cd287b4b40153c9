// Beside the tree: what is selected and why it fired, the score in parts, the guide, what was done.
import { Button, Textarea } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { useAlertTree, useChangeAlert } from '../../api/hooks';
import type { AlertDetail, EventRow, Highlight } from '../../api/types';
import { EventFields } from '../../components/EventFields';
import { Markdown } from '../../components/Markdown';
import { Meter } from '../../components/Meter';
import { Blank } from '../../components/Panel';
import { ProcessProfile } from '../../components/ProcessProfile';
import type { EvidenceAsk } from '../../components/ProcessProfile';
import { Severity } from '../../components/Severity';
import { Tabs } from '../../components/Tabs';
import { Stamp } from '../../components/Time';
import { toast } from '../../components/toast';
import { ExceptContext, SafeText, Val } from '../../components/Val';
import type { Lit } from '../../lib/selection';
import { useUrl } from '../../lib/url';

interface Props {
  alert: AlertDetail;
  shown: Lit;
  events: EventRow[];
  onTerminate: () => void;
  onAsk: (ask: EvidenceAsk) => void;
}

export function SidePanel(props: Props) {
  const { alert, shown } = props;
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const active = url['side'] ?? (shown.chosen ? 'details' : 'score');
  return (
    <aside className="panel alert__side" aria-label={t('alert/details')}>
      <Tabs
        label={t('alert/details')}
        active={active}
        onPick={(side) => change({ side }, 'replace')}
        tabs={[
          { key: 'details', label: t('alert/details') },
          { key: 'score', label: t('alert/score') },
          { key: 'page', label: t('alert/page') },
          { key: 'activity', label: t('alert/activity'), count: alert.history.length },
        ]}
      >
        {active === 'details' && <Details {...props} />}
        {active === 'score' && <ScoreParts alert={alert} />}
        {active === 'page' && (alert.page ? <Markdown source={alert.page} /> : <Blank>{t('alert/noPage')}</Blank>)}
        {active === 'activity' && <Activity alert={alert} />}
      </Tabs>
    </aside>
  );
}

function Details({ alert, shown, events, onTerminate, onAsk }: Props) {
  const { t } = useTranslation();
  const tree = useAlertTree(alert.id);
  if (!shown.chosen) return <Blank>{t('alert/pick')}</Blank>;
  const event = shown.chosen.kind === 'event' ? events.find((one) => one.id === shown.chosen?.key) : undefined;
  const lit = alert.highlights.filter((one) => shown.highlights.has(one.key));
  const node = tree.data?.nodes.find((one) => one.uid === shown.process);
  return (
    <div className="side">
      {lit.map((one) => <Fired key={one.key} highlight={one} names={alert.technique_names} />)}
      {event && <section><h3>{t('search/panel')}</h3><EventFields event={event} /></section>}
      {node && <ProcessProfile node={node} endpoint={alert.endpoint} onTerminate={onTerminate} onAsk={onAsk} />}
    </div>
  );
}

function Fired({ highlight, names }: { highlight: Highlight; names: AlertDetail['technique_names'] }) {
  const { t } = useTranslation();
  const { detection } = highlight;
  return (
    <section className="fired">
      <h3>{t('alert/fired')}</h3>
      <p className="row wrap">
        <strong><Link to="/detections/$id" params={{ id: detection.id }}><SafeText text={detection.title} /></Link></strong>
        <Severity level={detection.level} />
        <span className="chip">{t(`layer/${detection.layer}`)}</span>
        {detection.techniques.map((one) => (
          <span key={one} className="chip"><span className="mono">{one}</span> {names[one]}</span>
        ))}
        {highlight.count > 1 && <span className="muted">{t('alert/times', { count: highlight.count })}</span>}
      </p>
      {highlight.matched.length === 0 && <p className="muted">{t('alert/correlated', { count: highlight.events.length })}</p>}
      {highlight.matched.map((one, index) => (
        <dl className="facts why" key={index}>
          <dt>{t('alert/clause')}</dt>
          <dd className="mono"><SafeText text={one.clause} /></dd>
          <dt>{t('alert/field')}</dt>
          <dd className="mono"><SafeText text={one.field} /></dd>
          <dt>{t('alert/value')}</dt>
          <dd><ExceptContext value={{ detection: detection.id }}><Val field={one.field} value={one.value} type="cmdline" /></ExceptContext></dd>
        </dl>
      ))}
    </section>
  );
}

function ScoreParts({ alert }: { alert: AlertDetail }) {
  const { t, i18n } = useTranslation();
  const sum = alert.parts.reduce((total, part) => total + part.points, 0);
  const most = Math.max(1, ...alert.parts.map((part) => Math.abs(part.points)));
  const number = (points: number) => points.toLocaleString(i18n.language, { maximumFractionDigits: 1 });
  return (
    <div className="side">
      <table className="table table--wrap parts">
        <thead><tr><th>{t('alert/part')}</th><th className="num">{t('alert/points')}</th></tr></thead>
        <tbody>
          {alert.parts.map((part, index) => (
            <tr key={index}>
              <td>
                <div><SafeText text={part.label} /></div>
                <div className="muted parts__why"><SafeText text={part.why} /></div>
                <Meter value={Math.abs(part.points)} max={most} />
              </td>
              <td className="num"><strong>{number(part.points)}</strong></td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="muted">{t('alert/scoreSum', { sum: number(sum) })}</p>
    </div>
  );
}

const NOTE_MAX = 2000;

function Activity({ alert }: { alert: AlertDetail }) {
  const { t } = useTranslation();
  const change = useChangeAlert();
  const [note, setNote] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (note.trim() === '') return;
    change.mutate(
      { id: alert.id, expected_version: alert.version, note: note.trim() },
      {
        onSuccess: () => setNote(''),
        onError: (problem) => toast(problem.status === 409 ? t('alerts/conflict') : problem.message),
      },
    );
  };
  return (
    <div className="side">
      <form className="stack" onSubmit={submit}>
        <Textarea label={t('alert/note')} maxLength={NOTE_MAX} value={note} onChange={(event) => setNote(event.currentTarget.value)} />
        <div><Button type="submit" variant="default" loading={change.isPending}>{t('alert/noteAdd')}</Button></div>
      </form>
      {alert.history.length === 0 ? (
        <Blank>{t('alert/noHistory')}</Blank>
      ) : (
        <ol className="history">
          {alert.history.map((one, index) => (
            <li key={index}>
              <div className="muted"><Stamp time={one.time} /> · <SafeText text={one.actor} /></div>
              <div><SafeText text={one.what} /></div>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
