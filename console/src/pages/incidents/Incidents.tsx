// Alerts as incidents: what belongs together and why; people take apart and put together.
import { Button, NativeSelect } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useChangeIncident, useIncidents } from '../../api/incidents';
import type { Incident } from '../../api/types';
import { Blank, More, Ready } from '../../components/Panel';
import { Score } from '../../components/Severity';
import { Age } from '../../components/Time';
import { toast } from '../../components/toast';
import { SafeText } from '../../components/Val';
import { useKeys } from '../../lib/keys';
import { visible } from '../../lib/safeText';
import { told } from '../../lib/told';
import { useUrl } from '../../lib/url';
import { IncidentPanel } from './IncidentPanel';
import { ViewSwitch } from './ViewSwitch';

const STATUSES = ['new', 'in_progress', 'closed'];

export function Incidents() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const answer = useIncidents({ status: url['status'], host: url['host'] });
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const merge = useChangeIncident();
  const first = answer.data?.pages[0];
  const items = answer.data?.pages.flatMap((page) => page.items) ?? [];
  const at = items.findIndex((one) => one.id === url['open']);
  const move = (step: number) => {
    const next = items[at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + step))];
    if (next) change({ open: next.id }, 'replace');
  };
  const toggle = (id: string) => {
    const after = new Set(chosen);
    if (!after.delete(id)) after.add(id);
    setChosen(after);
  };
  const marked = items.filter((one) => chosen.has(one.id)).map((one) => one.id);
  const join = () =>
    merge.mutate(
      { how: 'merge', incidents: marked },
      {
        onSuccess: () => {
          setChosen(new Set());
          toast(t('incidents/merged'));
        },
        onError: (problem) => toast(told(problem)),
      },
    );
  useKeys({
    j: () => move(1),
    ArrowDown: () => move(1),
    k: () => move(-1),
    ArrowUp: () => move(-1),
    x: () => items[at] && toggle(items[at].id),
    m: () => marked.length > 1 && join(),
    Escape: () => change({ open: undefined }, 'replace'),
  });
  return (
    <>
      <div className="page__head">
        <h1>{t('alerts/title')}</h1>
        <ViewSwitch />
        <NativeSelect
          aria-label={t('alerts/status')}
          value={url['status'] ?? ''}
          onChange={(event) => change({ status: event.currentTarget.value || undefined }, 'replace')}
          data={[{ value: '', label: t('incidents/anyStatus') }, ...STATUSES.map((value) => ({ value, label: t(`status/${value}`) }))]}
        />
        <span className="muted">{first ? t('incidents/total', { count: first.total }) : ''}</span>
        {first && first.left_out > 0 && <span className="muted">{t('incidents/leftOut', { count: first.left_out })}</span>}
        {url['host'] && <button type="button" className="iconbtn iconbtn--line" onClick={() => change({ host: undefined })}>{t('incidents/onHost', { host: visible(url['host']) })}</button>}
        <span className="spacer" />
        <span className="muted hint">{t('incidents/keys')}</span>
        <Button variant="default" disabled={marked.length < 2} loading={merge.isPending} onClick={join}>{t('incidents/merge', { count: marked.length })}</Button>
      </div>
      <div className={url['open'] ? 'incidents incidents--open' : 'incidents'}>
        <section className="panel panel--grow" aria-label={t('incidents/title')}>
          <Ready answer={answer}>
            {() => items.length === 0 ? <Blank>{t(url['status'] || url['host'] ? 'incidents/noMatch' : 'incidents/empty')}</Blank> : (
              <div className="panel__body--scroll" tabIndex={0} role="group" aria-label={t('incidents/title')}>
                <Table items={items} chosen={chosen} onToggle={toggle} />
                <p className="more"><More answer={answer} /></p>
              </div>
            )}
          </Ready>
        </section>
        {url['open'] && <IncidentPanel key={url['open']} id={url['open']} onClose={() => change({ open: undefined })} />}
      </div>
    </>
  );
}

/** Kinds of reasons, each once, in the order of their strength. */
const kindsOf = (one: Incident) => [...new Set(one.why.map((reason) => reason.kind))];

function Table({ items, chosen, onToggle }: { items: Incident[]; chosen: ReadonlySet<string>; onToggle: (id: string) => void }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const open = (id: string) => change({ open: url['open'] === id ? undefined : id });
  return (
    <table className="table incidents__list">
      <thead>
        <tr>
          <th className="w-check"><span className="sr-only">{t('keys/select')}</span></th>
          <th className="w-score--bare">{t('alerts/score')}</th>
          <th>{t('incidents/one')}</th>
          <th className="w-num num">{t('incidents/alerts')}</th>
          <th className="w-why">{t('incidents/why')}</th>
          <th className="w-hosts">{t('incidents/hosts')}</th>
          <th className="w-users">{t('incidents/users')}</th>
          <th className="w-age">{t('alerts/age')}</th>
          <th className="w-status">{t('alerts/status')}</th>
        </tr>
      </thead>
      <tbody>
        {items.map((one) => (
          <tr key={one.id} data-link data-incident={one.id} data-focus={one.id === url['open']} onClick={() => open(one.id)}>
            <td><input type="checkbox" aria-label={t('alerts/select', { title: one.title })} checked={chosen.has(one.id)} onChange={() => onToggle(one.id)} onClick={(event) => event.stopPropagation()} /></td>
            <td><Score score={one.score} level={one.level} /></td>
            <td>
              <button type="button" className="linklike" aria-pressed={one.id === url['open']} onClick={(event) => { event.stopPropagation(); open(one.id); }}><SafeText text={one.title} /></button>
              {one.recording !== null && <span className="chip chip--after">{t('incidents/recording')}</span>}
            </td>
            <td className="num">{one.alerts}</td>
            <td>{kindsOf(one).length === 0 ? <span className="muted">–</span> : kindsOf(one).map((kind) => t([`incidents/kind/${kind}`, kind])).join(', ')}</td>
            <td title={one.hosts.join(', ')}><SafeText text={one.hosts.join(', ')} /></td>
            <td title={one.users.join(', ')}><SafeText text={one.users.join(', ')} /></td>
            <td><Age time={one.last} /></td>
            <td><span className="chip">{t(`status/${one.status}`)}</span></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
