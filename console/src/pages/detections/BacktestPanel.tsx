// What a document would have found in the history: a job that can be watched and cancelled.
import { Button, NativeSelect } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useBacktest, useCancelBacktest, useStartBacktest } from '../../api/detections';
import type { Backtest } from '../../api/types';
import { Days } from '../../components/Days';
import { HitCard } from '../../components/HitCard';
import { Meter } from '../../components/Meter';
import { Blank, Failed } from '../../components/Panel';
import { Stamp } from '../../components/Time';
import { SafeText, Val } from '../../components/Val';
import { count, millis } from '../../lib/format';
import { visible } from '../../lib/safeText';
import { isRange, RANGES, recent } from '../../lib/time';
import { useUrl } from '../../lib/url';

/** A document in force, or a text that is not yet. */
export type Subject = { id: string } | { text: string };

export function BacktestPanel({ subject }: { subject: Subject }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const range = isRange(url['range']) ? url['range'] : '7d';
  const run = url['run'];
  const start = useStartBacktest();
  const cancel = useCancelBacktest();
  const job = useBacktest(run);
  const running = job.data?.state === 'running';
  const go = () => start.mutate({ ...subject, ...recent(range) }, { onSuccess: ({ id }) => change({ run: id, range }, 'replace') });
  return (
    <div className="backtest">
      <div className="row wrap">
        <NativeSelect
          aria-label={t('time/range')}
          value={range}
          onChange={(event) => change({ range: event.currentTarget.value }, 'replace')}
          data={RANGES.map((value) => ({ value, label: t(`time/${value}`) }))}
        />
        <Button loading={start.isPending} disabled={running} onClick={go}>{t('backtest/start')}</Button>
        {running && run && <Button variant="default" loading={cancel.isPending} onClick={() => cancel.mutate(run, { onSuccess: () => change({ run: undefined }, 'replace') })}>{t('response/cancel')}</Button>}
        <span className="muted">{t('backtest/what')}</span>
      </div>
      {start.error && <p className="failed" role="alert">{visible(start.error.message)}</p>}
      {job.error && <Failed problem={job.error} />}
      {!run && !start.error && <Blank>{t('backtest/none')}</Blank>}
      {job.data && <Result job={job.data} />}
    </div>
  );
}

function Result({ job }: { job: Backtest }) {
  const { t, i18n } = useTranslation();
  const percent = job.progress.toLocaleString(i18n.language, { style: 'percent' });
  return (
    <>
      <div className="row wrap" role="status">
        <strong>{t(`backtest/state/${job.state}`)}</strong>
        {job.state === 'running' && <><span className="backtest__bar"><Meter value={job.progress} max={1} /></span><span>{percent}</span></>}
        <span className="muted"><Stamp time={job.from} /> – <Stamp time={job.to} /></span>
        {job.first && job.last && <span className="muted">{t('backtest/read')} <Stamp time={job.first} /> – <Stamp time={job.last} /></span>}
        <span className="muted">{t('backtest/seconds', { took: millis(job.seconds * 1000) })}</span>
      </div>
      {job.error && <p className="failed" role="alert"><SafeText text={job.error} /></p>}
      {job.incomplete && <p className="warn"><strong>{t('search/partial')}</strong> · <SafeText text={job.incomplete} /></p>}
      <Numbers job={job} />
      {job.hits === 0 ? (
        job.state === 'done' && <Blank>{t('backtest/nothing')}</Blank>
      ) : (
        <div className="backtest__parts">
          <section>
            <h2>{t('detections/perDay')}</h2>
            <Days label={t('detections/perDay')} days={job.per_day} />
            <h2>{t('backtest/hosts')}</h2>
            <Hosts hosts={job.hosts} />
          </section>
          <section>
            <h2>{t('backtest/examples')}</h2>
            {job.examples.map((hit, index) => <HitCard key={index} hit={hit} />)}
          </section>
        </div>
      )}
    </>
  );
}

function Numbers({ job }: { job: Backtest }) {
  const { t, i18n } = useTranslation();
  const parts: [string, string][] = [
    ['events', count(job.events, i18n.language)],
    ['hits', count(job.hits, i18n.language)],
    ['alerts', count(job.alerts, i18n.language)],
    ['hosts', count(job.hosts.length, i18n.language)],
    ['noise', job.noise_per_host_day.toLocaleString(i18n.language, { maximumFractionDigits: 2 })],
  ];
  return (
    <dl className="numbers">
      {parts.map(([name, value]) => (
        <div key={name}><dt>{t(`backtest/number/${name}`)}</dt><dd>{value}</dd></div>
      ))}
    </dl>
  );
}

export function Hosts({ hosts }: { hosts: Backtest['hosts'] }) {
  const { i18n } = useTranslation();
  const most = Math.max(1, ...hosts.map((one) => one.count));
  return (
    <dl className="facts facts--bars">
      {hosts.map((one) => (
        <div key={one.endpoint} style={{ display: 'contents' }}>
          <dt><Val field="device.hostname" value={one.host} endpoint={one.endpoint} /></dt>
          <dd><Meter value={one.count} max={most} /> <span className="num">{count(one.count, i18n.language)}</span></dd>
        </div>
      ))}
    </dl>
  );
}
