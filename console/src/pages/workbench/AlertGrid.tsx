// The rows of the workbench: j k Enter x a s, marked rows changed together.
import { Button } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useRef, useState } from 'react';
import type { RefObject } from 'react';
import { useTranslation } from 'react-i18next';

import type { AlertSummary, Level } from '../../api/types';
import { Blank } from '../../components/Panel';
import { Score } from '../../components/Severity';
import { StatusMenu } from '../../components/StatusMenu';
import { Age } from '../../components/Time';
import { SafeText, Val } from '../../components/Val';
import { useRows } from '../../lib/rows';
import { useTriage } from '../../lib/triage';
import { useUrl } from '../../lib/url';

function useSelected(items: AlertSummary[]) {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const toggle = (id: string) =>
    setSelected((before) => {
      const after = new Set(before);
      if (!after.delete(id)) after.add(id);
      return after;
    });
  const chosen = items.filter((one) => selected.has(one.id));
  return { selected, toggle, chosen, clear: () => setSelected(new Set()) };
}

interface GridProps {
  items: AlertSummary[];
  me: string | undefined;
  field: RefObject<HTMLInputElement | null>;
  more?: () => void;
}

export function AlertGrid({ items, me, field, more }: GridProps) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const navigate = useNavigate();
  const { selected, toggle, chosen, clear } = useSelected(items);
  const triage = useTriage();
  const [menu, setMenu] = useState<'open' | 'closed'>('closed');
  const body = useRef<HTMLTableSectionElement>(null);
  const open = (alert: AlertSummary) => void navigate({ to: '/alerts/$id', params: { id: alert.id } });
  const here = items.find((one) => one.id === url['at']);
  const subject = chosen.length > 0 ? chosen : here ? [here] : [];
  const rows = useRows(body, items, open, {
    x: () => here && toggle(here.id),
    a: () => me && void triage(subject, { assignee: me }),
    s: () => subject.length > 0 && setMenu('open'),
    '/': () => field.current?.focus(),
    Escape: () => clear(),
  });
  if (items.length === 0) return <Nothing />;
  return (
    <>
      <div className="bulk" data-shown={chosen.length > 0 || menu === 'open' ? 'yes' : 'no'}>
        <strong>{t('alerts/selected', { count: subject.length })}</strong>
        <button type="button" className="iconbtn" onClick={() => me && void triage(subject, { assignee: me })}>{t('alerts/assign')}</button>
        <StatusMenu
          opened={menu}
          onOpened={setMenu}
          label={t('alerts/setStatus')}
          onPick={(patch) => void triage(subject, patch)}
        />
        <button type="button" className="iconbtn" onClick={clear}>{t('alerts/clear')}</button>
      </div>
      <div className="panel__body--scroll" tabIndex={0} role="group" aria-label={t('alerts/title')}>
        <table className="table">
          <Head />
          <tbody ref={body}>
            {items.map((one) => (
              <Row
                key={one.id}
                alert={one}
                row={rows.row(one)}
                selected={selected.has(one.id) ? 'yes' : 'no'}
                onToggle={() => toggle(one.id)}
                onOpen={() => open(one)}
                onFocus={() => change({ at: one.id }, 'replace')}
              />
            ))}
          </tbody>
        </table>
        {more && <p className="more"><button type="button" className="iconbtn" onClick={more}>{t('alerts/more')}</button></p>}
      </div>
    </>
  );
}

function Head() {
  const { t } = useTranslation();
  return (
    <thead>
      <tr>
        <th className="w-check"><span className="sr-only">{t('keys/select')}</span></th>
        <th className="w-score">{t('alerts/score')}</th>
        <th>{t('alerts/name')}</th>
        <th className="w-host">{t('alerts/host')}</th>
        <th className="w-user">{t('alerts/user')}</th>
        <th className="w-techs">{t('alerts/technique')}</th>
        <th className="w-num num">{t('alerts/steps')}</th>
        <th className="w-age">{t('alerts/age')}</th>
        <th className="w-owner">{t('alerts/owner')}</th>
        <th className="w-status">{t('alerts/status')}</th>
      </tr>
    </thead>
  );
}

interface RowProps {
  alert: AlertSummary;
  /** What moving by keys puts on a row. */
  row: ReturnType<ReturnType<typeof useRows<AlertSummary>>['row']>;
  selected: 'yes' | 'no';
  onToggle: () => void;
  onOpen: () => void;
  onFocus: () => void;
}

function Row({ alert, row, selected, onToggle, onOpen, onFocus }: RowProps) {
  const { t } = useTranslation();
  const more = alert.techniques.length - 2;
  return (
    <tr
      data-link
      data-alert={alert.id}
      {...row}
      onClick={onFocus}
      onDoubleClick={onOpen}
    >
      <td>
        <input
          type="checkbox"
          aria-label={t('alerts/select', { title: alert.title })}
          checked={selected === 'yes'}
          onChange={onToggle}
          onClick={(event) => event.stopPropagation()}
        />
      </td>
      <td><Score score={alert.score} level={alert.level} /><SeverityWord level={alert.level} /></td>
      <td>
        <a
          href={`/alerts/${alert.id}`}
          onClick={(event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            event.stopPropagation();
            onOpen();
          }}
        >
          <SafeText text={alert.title} />
        </a>
      </td>
      <td><Val field="device.hostname" value={alert.host} endpoint={alert.endpoint} /></td>
      <td><Val field="process.user.name" value={alert.user} /></td>
      <td className="mono" title={alert.techniques.join(' ')}>
        {alert.techniques.slice(0, 2).join(' ')}{more > 0 && <span className="muted"> +{more}</span>}
      </td>
      <td className="num">{alert.highlights}</td>
      <td><Age time={alert.last} /></td>
      <td>{alert.assignee ? <SafeText text={alert.assignee} /> : <span className="muted">–</span>}</td>
      <td><span className="chip">{t(`status/${alert.status}`)}</span></td>
    </tr>
  );
}

function SeverityWord({ level }: { level: Level }) {
  const { t } = useTranslation();
  return <span className="sevword">{t(`level/${level}`)}</span>;
}

/** What narrows the list, which no alert may pass. */
const NARROWING = ['status', 'level', 'host', 'tactic', 'detection', 'technique', 'endpoint', 'assignee', 'min_score', 'q'];

/** No alert: because of what was asked for, or because there is none. */
function Nothing() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  if (!NARROWING.some((name) => url[name])) return <Blank>{t('alerts/nothing')}</Blank>;
  return (
    <div className="blank">
      <p>{t('alerts/empty')}</p>
      <Button variant="default" onClick={() => change(Object.fromEntries(NARROWING.map((name) => [name, undefined])))}>{t('alerts/widen')}</Button>
    </div>
  );
}
