// Recorded incidents: which were brought in from files, and how to bring in another.
import { Button } from '@mantine/core';
import { useNavigate } from '@tanstack/react-router';
import { useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { useRecordings } from '../../api/recordings';
import type { Recording } from '../../api/types';
import { Dialog } from '../../components/Dialog';
import { Ready } from '../../components/Panel';
import { Stamp } from '../../components/Time';
import { SafeText } from '../../components/Val';
import { count } from '../../lib/format';
import { useRows } from '../../lib/rows';
import { useUrl } from '../../lib/url';
import { HowTo } from './HowTo';

export function RecordingsPage() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const answer = useRecordings();
  return (
    <div className="page page--fill">
      <div className="page__head">
        <h1>{t('recordings/title')}</h1>
        <span className="muted">{answer.data ? t('recordings/total', { count: answer.data.items.length }) : ''}</span>
        <span className="spacer" />
        <Button variant="default" onClick={() => change({ dialog: 'add' })}>{t('recordings/add')}</Button>
      </div>
      <section className="panel panel--grow" aria-label={t('recordings/title')}>
        <Ready answer={answer}>
          {({ items }) => (items.length === 0 ? <Empty /> : (
            <div className="panel__body--scroll" tabIndex={0} role="group" aria-label={t('recordings/title')}><Table items={items} /></div>
          ))}
        </Ready>
      </section>
      <Dialog state={url['dialog'] === 'add' ? 'open' : 'closed'} title={t('recordings/addTitle')} size="lg" onClose={() => change({ dialog: undefined })}>
        <HowTo />
      </Dialog>
    </div>
  );
}

function Empty() {
  const { t } = useTranslation();
  return <div className="blank blank--howto"><p>{t('recordings/empty')}</p><HowTo /></div>;
}

function Table({ items }: { items: Recording[] }) {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const open = (one: Recording) => void navigate({ to: '/recordings/$id', params: { id: one.id } });
  const body = useRef<HTMLTableSectionElement>(null);
  const rows = useRows(body, items, open);
  return (
    <table className="table recordings">
      <thead>
        <tr>
          <th>{t('recordings/name')}</th>
          <th className="w-status">{t('recordings/state')}</th>
          <th className="w-conf num">{t('recordings/events')}</th>
          <th className="w-why">{t('incidents/hosts')}</th>
          <th className="w-stamp">{t('recordings/created')}</th>
          <th className="w-owner">{t('recordings/actor')}</th>
        </tr>
      </thead>
      <tbody ref={body}>
        {items.map((one) => {
          const hosts = one.hosts.map((host) => host.host).join(', ');
          return (
            <tr key={one.id} data-link data-recording={one.id} {...rows.row(one)} onClick={() => open(one)}>
              <td>
                <a href={`/recordings/${one.id}`} onClick={(event) => {
                  event.stopPropagation();
                  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
                  event.preventDefault();
                  open(one);
                }}><SafeText text={one.name} /></a>
              </td>
              <td><span className="chip">{t([`recordings/stateIs/${one.state}`, one.state])}</span></td>
              <td className="num">{count(one.events, i18n.language)}</td>
              <td className="ellipsis" title={hosts}>{hosts === '' ? <span className="muted">–</span> : <SafeText text={hosts} />}</td>
              <td><Stamp time={one.created} /></td>
              <td><SafeText text={one.actor} /></td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
