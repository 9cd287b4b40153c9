// One indicator: where it came from, where it was sighted and since when, and what is done with it.
import { Button, NativeSelect } from '@mantine/core';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { IndicatorDetail } from '../../api/types';
import { useChangeIndicator, useIndicator, useRemoveIndicator } from '../../api/intel';
import { Confirm } from '../../components/Confirm';
import { Days } from '../../components/Days';
import { Icon } from '../../components/icons';
import { Ready } from '../../components/Panel';
import { Stamp } from '../../components/Time';
import { toast } from '../../components/toast';
import { SafeText, Val } from '../../components/Val';
import { visible } from '../../lib/safeText';
import { Expiry } from './IndicatorsPage';
import { expiry, fieldOf, LASTS, LISTS, typeOfKind } from './kinds';
import { SightingRow } from './Sightings';

export function IndicatorPanel({ id, onClose }: { id: string; onClose: () => void }) {
  const { t } = useTranslation();
  const answer = useIndicator(id);
  return (
    <aside className="panel search__panel" aria-label={t('indicators/one')}>
      <header className="panel__head">
        <h2>{t('indicators/one')}</h2>
        <span className="spacer" />
        <button type="button" className="iconbtn" aria-label={t('search/close')} title={t('search/close')} onClick={onClose}><Icon name="close" /></button>
      </header>
      <div className="panel__body panel__body--scroll side" tabIndex={0} role="group" aria-label={t('indicators/one')}>
        <Ready answer={answer}>{(one) => <Body one={one} onGone={onClose} />}</Ready>
      </div>
    </aside>
  );
}

const DAY_MS = 86_400_000;
const DAYS = 30;

/** Sightings by day: at most the hundred that came with the indicator. */
function perDay(one: IndicatorDetail): { day: string; count: number }[] {
  const last = one.sighted[0] ? Date.parse(one.sighted[0].time) : Date.now();
  const counts = new Map<string, number>();
  for (const each of one.sighted) counts.set(each.time.slice(0, 10), (counts.get(each.time.slice(0, 10)) ?? 0) + each.count);
  return Array.from({ length: DAYS }, (_, i) => new Date(last - (DAYS - 1 - i) * DAY_MS).toISOString().slice(0, 10)).map((day) => ({ day, count: counts.get(day) ?? 0 }));
}

function Body({ one, onGone }: { one: IndicatorDetail; onGone: () => void }) {
  const { t } = useTranslation();
  return (
    <>
      <section>
        <dl className="facts">
          <dt>{t('indicators/value')}</dt><dd><Val field={fieldOf(one.kind)} value={one.value} type={typeOfKind(one.kind)} /></dd>
          <dt>{t('indicators/kind')}</dt><dd>{t([`indicators/kindIs/${one.kind}`, one.kind])}</dd>
          <dt>{t('indicators/source')}</dt><dd><SafeText text={one.source} /></dd>
          <dt>{t('indicators/confidence')}</dt><dd>{one.confidence ?? '–'}</dd>
          <dt>{t('indicators/created')}</dt><dd><Stamp time={one.created} /></dd>
          <dt>{t('indicators/expires')}</dt><dd><Expiry one={one} /></dd>
          {one.labels.length > 0 && (<><dt>{t('indicators/labels')}</dt><dd className="row wrap">{one.labels.map((label) => <span key={label} className="chip"><SafeText text={label} /></span>)}</dd></>)}
          {one.note && (<><dt>{t('alert/note')}</dt><dd><SafeText text={one.note} /></dd></>)}
        </dl>
      </section>
      <Change one={one} onGone={onGone} />
      <section>
        <h3>{t('indicators/sightings')}</h3>
        {one.sighted.length === 0 ? (
          <p className="muted flat">{t('indicators/unseen')}</p>
        ) : (
          <>
            {one.earliest_seen && (
              <p className="note">
                <strong>{t('indicators/earliest')}</strong> <Stamp time={one.earliest_seen.time} /> · <Val field="device.hostname" value={one.earliest_seen.host} endpoint={one.earliest_seen.endpoint} /> · {t([`indicators/where/${one.earliest_seen.where}`, one.earliest_seen.where])}
              </p>
            )}
            <Days label={t('indicators/perDay')} days={perDay(one)} height={48} />
            {one.sightings > one.sighted.length && <p className="muted">{t('indicators/newest', { shown: one.sighted.length, total: one.sightings })}</p>}
            {one.sighted.map((each) => <SightingRow key={each.id} sighting={each} />)}
          </>
        )}
      </section>
      <section>
        <h3>{t('indicators/provenance')}</h3>
        <ul className="history">
          {one.provenance.map((each, index) => (
            <li key={index}>
              <div><SafeText text={each.document ?? each.source} /> {each.place && <span className="muted"><SafeText text={each.place} /></span>}</div>
              <div className="muted"><Stamp time={each.imported} /> · <SafeText text={each.source} /> · <SafeText text={each.actor} /></div>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}

function Change({ one, onGone }: { one: IndicatorDetail; onGone: () => void }) {
  const { t } = useTranslation();
  const change = useChangeIndicator();
  const remove = useRemoveIndicator();
  const [asking, setAsking] = useState<'open' | 'closed'>('closed');
  const saved = { onSuccess: () => toast(t('alerts/changed')), onError: (problem: Error) => toast(visible(problem.message)) };
  return (
    <section className="row wrap">
      <NativeSelect
        aria-label={t('indicators/list')}
        value={one.list}
        onChange={(event) => change.mutate({ id: one.id, list: event.currentTarget.value as IndicatorDetail['list'] }, saved)}
        data={LISTS.map((value) => ({ value, label: t(`indicators/listIs/${value}`) }))}
      />
      <NativeSelect
        aria-label={t('indicators/expires')}
        value=""
        onChange={(event) => event.currentTarget.value !== '' && change.mutate({ id: one.id, expires: expiry(Number(event.currentTarget.value)) ?? null }, saved)}
        data={[{ value: '', label: t('indicators/expiresNew') }, ...LASTS.map((days) => ({ value: String(days), label: days === 0 ? t('indicators/never') : t('exceptions/inDays', { count: days }) }))]}
      />
      <Button variant="default" onClick={() => setAsking('open')}>{t('indicators/remove')}</Button>
      <Confirm
        state={asking}
        title={t('indicators/remove')}
        text={t('indicators/removeAsk')}
        confirm={t('indicators/removeDo')}
        busy={remove.isPending ? 'yes' : 'no'}
        problem={remove.error}
        onClose={() => setAsking('closed')}
        onConfirm={() => remove.mutate(one.id, { onSuccess: onGone })}
      />
    </section>
  );
}
