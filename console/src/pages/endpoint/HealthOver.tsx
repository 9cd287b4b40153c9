// How the sensor did over time: small charts over the same range.
import { NativeSelect } from '@mantine/core';
import { useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import { useHealth } from '../../api/hooks';
import type { Endpoint, HealthHistory } from '../../api/types';
import { Blank, Panel, Ready } from '../../components/Panel';
import { bytes, count, millis } from '../../lib/format';
import { cpuShare, draw, level, lost, rate } from '../../lib/health';
import type { Spot } from '../../lib/health';
import { usePrefs } from '../../lib/prefs';
import { axis, recent } from '../../lib/time';
import { useUrl } from '../../lib/url';

const SPANS = ['1h', '24h', '7d'] as const;
type Span = (typeof SPANS)[number];

export function HealthOver({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const span: Span = SPANS.find((one) => one === url['span']) ?? '24h';
  const range = useMemo(() => recent(span), [span]);
  const answer = useHealth(endpoint.id, range);
  const pick = (
    <NativeSelect
      size="xs"
      aria-label={t('time/range')}
      value={span}
      onChange={(event) => change({ span: event.currentTarget.value }, 'replace')}
      data={SPANS.map((value) => ({ value, label: t(`time/${value}`) }))}
    />
  );
  return (
    <Panel title={t('health/title')} tools={pick}>
      <Ready answer={answer}>
        {(data) => (data.items.length < 2 ? <Blank>{t('health/none')}</Blank> : <Charts data={data} range={range} />)}
      </Ready>
    </Panel>
  );
}

const percent = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
const perSecond = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} /s`;

function Charts({ data, range }: { data: HealthHistory; range: { from: string; to: string } }) {
  const { t, i18n } = useTranslation();
  const { zone } = usePrefs();
  const ends: [number, number] = [Date.parse(range.from), Date.parse(range.to)];
  const { items, minutes_per_point: per } = data;
  return (
    <div className="charts">
      <Chart name={t('health/cpu')} spots={cpuShare(items, per)} ends={ends} say={percent} />
      <Chart name={t('health/memory')} spots={level(items, 'rss_bytes', per)} ends={ends} say={bytes} />
      <Chart name={t('health/rate')} spots={rate(items, per)} ends={ends} say={perSecond} />
      <Chart name={t('health/lag')} spots={level(items, 'lag_ms', per)} ends={ends} say={millis} />
      <Chart name={t('health/spool')} spots={level(items, 'spool_bytes', per)} ends={ends} say={bytes} />
      <Chart name={t('health/lost')} spots={lost(items)} ends={ends} say={(value) => count(value, i18n.language)} />
      <div className="hist__axis"><span>{axis(ends[0], zone)}</span><span>{axis(ends[1], zone)}</span></div>
      {per > 1 && <p className="muted">{t('health/thinned', { minutes: per })}</p>}
    </div>
  );
}

const BOX: [number, number] = [300, 36];

function Chart({ name, spots, ends, say }: { name: string; spots: Spot[]; ends: [number, number]; say: (value: number) => string }) {
  const { t } = useTranslation();
  const line = draw(spots, ends, BOX);
  const last = line.last === null ? '–' : say(line.last);
  const most = line.most === null ? '–' : say(line.most);
  return (
    <figure className="chart">
      <figcaption>
        <strong>{name}</strong>
        <span className="spacer" />
        <span>{last}</span> <span className="muted">{t('health/most', { most })}</span>
      </figcaption>
      <svg
        className="chart__box"
        viewBox={`0 -2 ${BOX[0]} ${BOX[1] + 4}`}
        height={BOX[1] + 4}
        preserveAspectRatio="none"
        role="img"
        aria-label={t('health/label', { name, last, most })}
      >
        <line className="hist__line" x1={0} y1={BOX[1]} x2={BOX[0]} y2={BOX[1]} vectorEffect="non-scaling-stroke" />
        <path className="chart__line" d={line.path} vectorEffect="non-scaling-stroke" />
      </svg>
    </figure>
  );
}
