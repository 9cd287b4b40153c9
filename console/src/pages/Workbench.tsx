// Alerts by score, with facets and a keyboard path: j k Enter x a s.
import { NativeSelect, TextInput } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useMemo, useRef, useState } from 'react';
import type { RefObject } from 'react';
import { useTranslation } from 'react-i18next';

import { useAlertPages, useChangeAlert, useSession } from '../api/hooks';
import type { AlertSummary, Count, Level } from '../api/types';
import { Facet } from '../components/Facets';
import { Blank, Ready } from '../components/Panel';
import { Score, Severity } from '../components/Severity';
import { StatusMenu } from '../components/StatusMenu';
import type { Triage } from '../components/StatusMenu';
import { Age } from '../components/Time';
import { toast } from '../components/toast';
import { SafeText, Val } from '../components/Val';
import { useFollowing } from '../lib/following';
import { useKeys } from '../lib/keys';
import { useUrl } from '../lib/url';
import type { UrlState } from '../lib/url';
import { Incidents } from './incidents/Incidents';
import { ViewSwitch } from './incidents/ViewSwitch';

const FACETS = ['status', 'level', 'host', 'tactic', 'detection'] as const;
const LIMIT = 100;

function request(url: UrlState) {
  return {
    status: url['status'],
    level: url['level'],
    endpoint: url['endpoint'],
    host: url['host'],
    tactic: url['tactic'],
    detection: url['detection'],
    technique: url['technique'],
    min_score: url['min_score'],
    q: url['q'],
    sort: url['sort'] ?? 'score',
    assignee: url['assignee'],
    limit: LIMIT,
  };
}

export function WorkbenchPage() {
  const [url] = useUrl();
  return <div className="page page--fill">{url['view'] === 'incidents' ? <Incidents /> : <Alerts />}</div>;
}

function Alerts() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const session = useSession();
  const me = session.data?.user.name;
  const answer = useAlertPages(request(url));
  const field = useRef<HTMLInputElement>(null);
  const first = answer.data?.pages[0];
  const items = useMemo(() => answer.data?.pages.flatMap((page) => page.items) ?? [], [answer.data]);
  const total = first?.total;
  return (
    <>
      <div className="page__head">
        <h1>{t('alerts/title')}</h1>
        <ViewSwitch />
        <FindField field={field} value={url['q'] ?? ''} onFind={(q) => change({ q, at: undefined })} />
        <NativeSelect
          aria-label={t('alerts/sort')}
          value={url['sort'] ?? 'score'}
          onChange={(event) => change({ sort: event.currentTarget.value }, 'replace')}
          data={[
            { value: 'score', label: t('alerts/sortScore') },
            { value: 'last', label: t('alerts/sortTime') },
          ]}
        />
        <span className="muted">{total === null || total === undefined ? '' : t('alerts/total', { count: total })}</span>
        <span className="spacer" />
        <span className="muted hint">{t('alerts/keys')}</span>
      </div>
      <div className="workbench">
        <aside className="panel panel__body--scroll" aria-label={t('alerts/facets')}>
          {FACETS.map((name) => (
            <Facet
              key={name}
              title={t(`alerts/${name}`)}
              counts={ordered(name, first?.facets[name] ?? [])}
              active={url[name]}
              label={(value) => <FacetLabel name={name} value={named(name, value, items)} />}
              onPick={(value) => change({ [name]: url[name] === value ? undefined : value, at: undefined })}
            />
          ))}
        </aside>
        <section className="panel" aria-label={t('alerts/title')}>
          <Ready answer={{ data: answer.data, error: answer.error, refetch: answer.refetch }}>
            {() => (
              <Grid
                items={items}
                me={me}
                field={field}
                more={answer.hasNextPage ? () => void answer.fetchNextPage() : undefined}
              />
            )}
          </Ready>
        </section>
      </div>
    </>
  );
}

const ORDER: Record<string, string[]> = {
  status: ['new', 'in_progress', 'closed'],
  level: ['critical', 'high', 'medium', 'low', 'informational'],
};

/** Levels and states in their own order, the rest by count as the server gives it. */
function ordered(name: string, counts: Count[]): Count[] {
  const order = ORDER[name];
  return order ? [...counts].sort((a, b) => order.indexOf(a.value) - order.indexOf(b.value)) : counts;
}

/** A detection is counted by its id and read by its title, which its alerts carry. */
function named(name: string, value: string, alerts: AlertSummary[]): string {
  if (name !== 'detection') return value;
  return alerts.find((alert) => alert.detection_id === value)?.title ?? value;
}

function FacetLabel({ name, value }: { name: (typeof FACETS)[number]; value: string }) {
  const { t } = useTranslation();
  if (name === 'level') return <Severity level={value as Level} />;
  if (name === 'status') return <>{t(`status/${value}`)}</>;
  if (name === 'tactic') return <>{t([`tactic/${value}`, value])}</>;
  return <SafeText text={value} />;
}

interface FindProps {
  field: RefObject<HTMLInputElement | null>;
  value: string;
  onFind: (q: string) => void;
}

function FindField({ field, value, onFind }: FindProps) {
  const { t } = useTranslation();
  const [text, setText] = useFollowing(value);
  return (
    <form
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        onFind(text.trim());
        field.current?.blur();
      }}
    >
      <TextInput
        ref={field}
        w={260}
        aria-label={t('alerts/find')}
        placeholder={t('alerts/find')}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
      />
    </form>
  );
}

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

function useTriage() {
  const { t } = useTranslation();
  const change = useChangeAlert();
  return (alerts: AlertSummary[], patch: Triage & { assignee?: string }) => {
    for (const alert of alerts) {
      change.mutate(
        { id: alert.id, expected_version: alert.version, ...patch },
        {
          onSuccess: () => toast(t('alerts/changed')),
          onError: (problem) => toast(problem.status === 409 ? t('alerts/conflict') : problem.message),
        },
      );
    }
  };
}

interface GridProps {
  items: AlertSummary[];
  me: string | undefined;
  field: RefObject<HTMLInputElement | null>;
  more?: () => void;
}

function Grid({ items, me, field, more }: GridProps) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const navigate = useNavigate();
  const { selected, toggle, chosen, clear } = useSelected(items);
  const triage = useTriage();
  const [menu, setMenu] = useState<'open' | 'closed'>('closed');
  const body = useRef<HTMLTableSectionElement>(null);
  /** Set by the keys: then the row takes the focus too, so that Enter means it. */
  const moved = useRef(false);
  const at = Math.max(0, items.findIndex((one) => one.id === url['at']));
  const focused = url['at'] ? items[at] : undefined;
  const subject = chosen.length > 0 ? chosen : focused ? [focused] : [];
  const move = (step: number) => {
    const next = items[focused ? Math.min(items.length - 1, Math.max(0, at + step)) : 0];
    if (!next) return;
    moved.current = true;
    change({ at: next.id }, 'replace');
  };
  const open = (alert: AlertSummary | undefined) => {
    if (alert) void navigate({ to: '/alerts/$id', params: { id: alert.id } });
  };
  useKeys({
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    Enter: () => open(focused),
    x: () => focused && toggle(focused.id),
    a: () => me && triage(subject, { assignee: me }),
    s: () => subject.length > 0 && setMenu('open'),
    '/': () => field.current?.focus(),
    Escape: () => clear(),
  });
  useEffect(() => {
    const row = body.current?.querySelector<HTMLElement>('[data-focus="true"]');
    row?.scrollIntoView({ block: 'nearest' });
    if (moved.current) row?.focus({ preventScroll: true });
    moved.current = false;
  }, [focused?.id]);
  if (items.length === 0) return <Blank>{t('alerts/empty')}</Blank>;
  return (
    <>
      <div className="bulk" data-shown={chosen.length > 0 || menu === 'open' ? 'yes' : 'no'}>
        <strong>{t('alerts/selected', { count: subject.length })}</strong>
        <button type="button" className="iconbtn" onClick={() => me && triage(subject, { assignee: me })}>{t('alerts/assign')}</button>
        <StatusMenu
          opened={menu}
          onOpened={setMenu}
          label={t('alerts/setStatus')}
          onPick={(patch) => triage(subject, patch)}
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
                focused={one.id === focused?.id ? 'true' : 'false'}
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
  focused: 'true' | 'false';
  selected: 'yes' | 'no';
  onToggle: () => void;
  onOpen: () => void;
  onFocus: () => void;
}

function Row({ alert, focused, selected, onToggle, onOpen, onFocus }: RowProps) {
  const { t } = useTranslation();
  const more = alert.techniques.length - 2;
  return (
    <tr
      data-link
      data-alert={alert.id}
      tabIndex={-1}
      data-focus={focused}
      aria-current={focused === 'true' ? 'true' : undefined}
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

