// A new exception. It can be made only when one has seen what it would have hidden.
import { Button, NativeSelect, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { useAddException, useDetections, useExceptionPreview, useGroups } from '../../api/detections';
import { useEndpoints } from '../../api/hooks';
import type { ExceptionPreview, ExceptionScope } from '../../api/types';
import { Days } from '../../components/Days';
import { HitCard } from '../../components/HitCard';
import { Icon } from '../../components/icons';
import { Picks } from '../../components/Picks';
import { Problems } from '../../components/Problems';
import { Stamp } from '../../components/Time';
import { toast } from '../../components/toast';
import { SafeText } from '../../components/Val';
import { count } from '../../lib/format';
import { told } from '../../lib/told';
import { useUrl } from '../../lib/url';
import { Hosts } from '../detections/BacktestPanel';

const DAY_MS = 86_400_000;
/** How long an exception may last, in days: none lasts for ever. */
const DAYS = [7, 30, 90, 365];
const TEXT_MAX = 500;

export function ExceptionForm({ onDone }: { onDone: () => void }) {
  const { t } = useTranslation();
  const [url] = useUrl();
  const add = useAddException();
  const [scope, setScope] = useState<ExceptionScope>({
    detections: url['detection'] ? [url['detection']] : [],
    groups: [],
    endpoints: [],
    condition: url['condition'] ?? '',
  });
  // Coming from an alert, one sees at once what it would mean.
  const [asked, setAsked] = useState<ExceptionScope | undefined>(() => (url['detection'] ? scope : undefined));
  const [title, setTitle] = useState('');
  const [reason, setReason] = useState('');
  const [days, setDays] = useState(30);
  /** Whether a person said that so much is meant. */
  const [meant, setMeant] = useState<'yes' | 'no'>('no');
  const preview = useExceptionPreview(asked);
  const seen = asked !== undefined && JSON.stringify(asked) === JSON.stringify(scope) && preview.data !== undefined;
  const fine = seen && !preview.data.problems.some((one) => one.severity === 'error');
  const change = (patch: Partial<ExceptionScope>) => {
    setScope({ ...scope, ...patch });
    setMeant('no');
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!fine) return setAsked(scope);
    if (title.trim() === '' || reason.trim() === '') return;
    add.mutate(
      { ...scope, title: title.trim(), reason: reason.trim(), expires: new Date(Date.now() + days * DAY_MS).toISOString(), confirmed: meant === 'yes' },
      {
        onSuccess: () => {
          toast(t('exceptions/made'));
          onDone();
        },
      },
    );
  };
  return (
    <aside className="panel excepting__form" aria-label={t('exceptions/new')}>
      <header className="panel__head">
        <h2>{t('exceptions/new')}</h2>
        <span className="spacer" />
        <button type="button" className="iconbtn" aria-label={t('frame/close')} title={t('frame/close')} onClick={onDone}><Icon name="close" /></button>
      </header>
      <form className="panel__body panel__body--scroll stack" onSubmit={submit}>
        <ScopeFields scope={scope} onChange={change} />
        {seen && preview.data.problems.length > 0 && <Problems problems={preview.data.problems} />}
        <div className="row">
          <Button type="button" variant="default" loading={preview.isFetching} onClick={() => setAsked(scope)}>{t('exceptions/preview')}</Button>
          {!seen && <span className="muted">{t('exceptions/previewFirst')}</span>}
        </div>
        {preview.error && <p className="failed" role="alert">{told(preview.error)}</p>}
        {seen && <Preview preview={preview.data} />}
        <TextInput label={t('exceptions/name')} maxLength={TEXT_MAX} required value={title} onChange={(event) => setTitle(event.currentTarget.value)} />
        <Textarea label={t('response/reason')} description={t('response/reasonHint')} maxLength={TEXT_MAX} required value={reason} onChange={(event) => setReason(event.currentTarget.value)} />
        <NativeSelect
          label={t('exceptions/expires')}
          value={days}
          onChange={(event) => setDays(Number(event.currentTarget.value))}
          data={DAYS.map((value) => ({ value: String(value), label: t('exceptions/inDays', { count: value }) }))}
        />
        {scope.detections.length === 0 && <p className="warn">{t('exceptions/everyWarn')}</p>}
        {add.error && <p className="failed flat" role="alert">{told(add.error)}</p>}
        {((seen && preview.data.broad) || add.error?.code === 'too_broad') && (
          <div className="warn">
            <label className="row">
              <input type="checkbox" checked={meant === 'yes'} onChange={() => setMeant(meant === 'yes' ? 'no' : 'yes')} />
              {t('exceptions/broadMeant')}
            </label>
          </div>
        )}
        <div className="row">
          <span className="spacer" />
          <Button variant="default" onClick={onDone}>{t('response/cancel')}</Button>
          <Button type="submit" disabled={!fine} loading={add.isPending}>{t('exceptions/make')}</Button>
        </div>
      </form>
    </aside>
  );
}

function ScopeFields({ scope, onChange }: { scope: ExceptionScope; onChange: (patch: Partial<ExceptionScope>) => void }) {
  const { t } = useTranslation();
  const detections = useDetections();
  const groups = useGroups();
  const endpoints = useEndpoints();
  return (
    <>
      <Picks
        label={t('exceptions/detections')}
        none={t('exceptions/everyDetection')}
        options={(detections.data?.items ?? []).map((one) => ({ value: one.id, label: one.title }))}
        chosen={scope.detections}
        onChange={(chosen) => onChange({ detections: chosen })}
      />
      <Picks
        label={t('exceptions/groups')}
        none={t('exceptions/anyGroup')}
        options={(groups.data?.items ?? []).map((one) => ({ value: one.name, label: one.name }))}
        chosen={scope.groups}
        onChange={(chosen) => onChange({ groups: chosen })}
      />
      <Picks
        label={t('exceptions/endpoints')}
        none={t('tuning/every')}
        options={(endpoints.data?.items ?? []).map((one) => ({ value: one.id, label: one.host }))}
        chosen={scope.endpoints}
        onChange={(chosen) => onChange({ endpoints: chosen })}
      />
      <Textarea
        label={t('exceptions/condition')}
        description={t('exceptions/conditionHint')}
        autosize
        minRows={2}
        maxRows={8}
        spellCheck={false}
        classNames={{ input: 'mono' }}
        value={scope.condition}
        onChange={(event) => onChange({ condition: event.currentTarget.value })}
      />
    </>
  );
}

function Preview({ preview }: { preview: ExceptionPreview }) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => count(value, i18n.language);
  return (
    <section className="preview" aria-label={t('exceptions/would')} role="status">
      <p><strong>{t('exceptions/wouldHide', { hidden: number(preview.hits_hidden), all: number(preview.hits_looked_at) })}</strong></p>
      <p className="muted"><Stamp time={preview.from} /> – <Stamp time={preview.to} /></p>
      {preview.share !== null && <p className={preview.broad ? 'warn' : 'muted'}>{t('exceptions/share', { share: preview.share.toLocaleString(i18n.language, { style: 'percent', maximumFractionDigits: 1 }) })}</p>}
      {!preview.complete && <p className="warn">{t('exceptions/incomplete')}</p>}
      {preview.hits_hidden > 0 && (
        <>
          <Days label={t('exceptions/hiddenPerDay')} days={preview.per_day} height={44} />
          <Hosts hosts={preview.hosts} />
        </>
      )}
      {preview.alerts_touched.length > 0 && (
        <>
          <h3>{t('exceptions/alerts', { count: preview.alerts_touched.length })}</h3>
          <ul className="hits">
            {preview.alerts_touched.map((one) => (
              <li key={one.id}><SafeText text={one.title} /> <span className="muted">{t('exceptions/score', { before: one.score_before, after: one.score_after })}</span></li>
            ))}
          </ul>
        </>
      )}
      {preview.examples.length > 0 && (
        <details>
          <summary>{t('backtest/examples')} ({preview.examples.length})</summary>
          {preview.examples.map((hit, index) => <HitCard key={index} hit={hit} />)}
        </details>
      )}
    </section>
  );
}
