// What detections are told not to report, for whom, by whom, until when, and how much that hid.
import { Button, TextInput } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useDetections, useExceptions, useRemoveException } from '../../api/detections';
import { useEndpoints } from '../../api/hooks';
import type { Exception } from '../../api/types';
import { Confirm } from '../../components/Confirm';
import { Days } from '../../components/Days';
import { Blank, Ready } from '../../components/Panel';
import { Age, Stamp } from '../../components/Time';
import { toast } from '../../components/toast';
import { SafeText } from '../../components/Val';
import { count } from '../../lib/format';
import { useUrl } from '../../lib/url';
import { ExceptionForm } from './ExceptionForm';

export function ExceptionsPage() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const answer = useExceptions();
  const making = url['make'] === 'yes';
  const wanted = (url['q'] ?? '').normalize('NFKC').toLowerCase().trim();
  return (
    <div className="page page--fill">
      <div className="page__head">
        <h1>{t('exceptions/title')}</h1>
        <TextInput
          w={260}
          aria-label={t('exceptions/find')}
          placeholder={t('exceptions/find')}
          value={url['q'] ?? ''}
          onChange={(event) => change({ q: event.currentTarget.value }, 'replace')}
        />
        <span className="spacer" />
        {!making && <Button onClick={() => change({ make: 'yes', detection: undefined, condition: undefined })}>{t('exceptions/new')}</Button>}
      </div>
      <div className={making ? 'excepting excepting--open' : 'excepting'}>
        <section className="panel panel--grow" aria-label={t('exceptions/title')}>
          <Ready answer={answer}>
            {(data) => {
              const shown = data.items.filter((one) => [one.title, one.reason, one.owner, one.condition, ...one.detections].some((text) => text.toLowerCase().includes(wanted)));
              if (data.items.length === 0) return <Blank>{t('exceptions/empty')}</Blank>;
              if (shown.length === 0) return <Blank>{t('exceptions/noMatch')}</Blank>;
              return <List items={shown} />;
            }}
          </Ready>
        </section>
        {making && <ExceptionForm key={`${url['detection'] ?? ''} ${url['condition'] ?? ''}`} onDone={() => change({ make: undefined, detection: undefined, condition: undefined })} />}
      </div>
    </div>
  );
}

function List({ items }: { items: Exception[] }) {
  const { t } = useTranslation();
  const remove = useRemoveException();
  const [asked, setAsked] = useState<Exception>();
  return (
    <div className="panel__body--scroll" tabIndex={0} role="group" aria-label={t('exceptions/title')}>
      {items.map((one) => <Item key={one.id} one={one} onRemove={() => setAsked(one)} />)}
      <Confirm
        state={asked ? 'open' : 'closed'}
        title={t('exceptions/remove')}
        text={t('exceptions/removeAsk')}
        confirm={t('exceptions/removeDo')}
        busy={remove.isPending ? 'yes' : 'no'}
        problem={remove.error}
        onClose={() => setAsked(undefined)}
        onConfirm={() =>
          asked &&
          remove.mutate(asked.id, {
            onSuccess: () => {
              setAsked(undefined);
              toast(t('exceptions/removed'));
            },
          })
        }
      />
    </div>
  );
}

function Item({ one, onRemove }: { one: Exception; onRemove: () => void }) {
  const { t, i18n } = useTranslation();
  return (
    <article className="exception" data-exception={one.id} data-expired={one.expired ? 'yes' : 'no'}>
      <div className="exception__what">
        <div className="row wrap">
          <h2><SafeText text={one.title} /></h2>
          {one.expired && <span className="chip chip--off">{t('exceptions/expired')}</span>}
        </div>
        <p className="exception__reason"><SafeText text={one.reason} /></p>
        <Scope one={one} />
        {one.condition.trim() !== '' && <pre className="code">{one.condition.split('\n').map((line, at) => <span key={at}><SafeText text={line} />{'\n'}</span>)}</pre>}
      </div>
      <div className="exception__hidden">
        <Days label={t('exceptions/hiddenPerDay')} days={one.hidden.per_day} height={40} />
        <div><strong>{count(one.hidden.total, i18n.language)}</strong> <span className="muted">{t('exceptions/hidden')}</span>{one.hidden.last && <span className="muted"> · {t('exceptions/last')} <Age time={one.hidden.last} /></span>}</div>
      </div>
      <div className="exception__who">
        <dl className="facts">
          <dt>{t('alert/owner')}</dt><dd><SafeText text={one.owner} /></dd>
          <dt>{t('exceptions/created')}</dt><dd><Stamp time={one.created} /></dd>
          <dt>{t('exceptions/expires')}</dt><dd><Stamp time={one.expires} /></dd>
        </dl>
        <Button size="compact-xs" variant="default" onClick={onRemove}>{t('exceptions/remove')}</Button>
      </div>
    </article>
  );
}

function Scope({ one }: { one: Exception }) {
  const { t } = useTranslation();
  const detections = useDetections();
  const endpoints = useEndpoints();
  const title = (id: string) => detections.data?.items.find((each) => each.id === id)?.title ?? id;
  const host = (id: string) => endpoints.data?.items.find((each) => each.id === id)?.host ?? id;
  return (
    <p className="row wrap exception__scope">
      {one.detections.length === 0 && <span className="chip chip--warn">{t('exceptions/everyDetection')}</span>}
      {one.detections.map((id) => <Link key={id} className="chip" to="/detections/$id" params={{ id }}><SafeText text={title(id)} /></Link>)}
      <span className="muted">{t('exceptions/on')}</span>
      {one.groups.length + one.endpoints.length === 0 && <span>{t('tuning/every')}</span>}
      {one.groups.map((name) => <span key={name} className="chip">{t('exceptions/group')} <SafeText text={name} /></span>)}
      {one.endpoints.map((id) => <Link key={id} className="chip" to="/endpoints/$id" params={{ id }}><SafeText text={host(id)} /></Link>)}
    </p>
  );
}
