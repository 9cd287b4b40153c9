// Search over every activity: query, time, bars, facets, rows, one opened activity.
import { NativeSelect } from '@mantine/core';
import { useCallback, useMemo, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import { useSearchPages } from '../../api/hooks';
import type { SearchAnswer } from '../../api/types';
import { Facet } from '../../components/Facets';
import { Histogram } from '../../components/Histogram';
import { Icon } from '../../components/icons';
import { LossNote } from '../../components/LossNote';
import { Failed } from '../../components/Panel';
import { FilterContext, SafeText } from '../../components/Val';
import { count, millis } from '../../lib/format';
import { useKeys } from '../../lib/keys';
import { usePrefs } from '../../lib/prefs';
import { narrow } from '../../lib/query';
import { isRange, RANGES, recent, stamp } from '../../lib/time';
import { useUrl } from '../../lib/url';
import type { UrlState } from '../../lib/url';
import { EventPanel } from './EventPanel';
import { QueryField } from './QueryField';
import { Results } from './Results';

const LIMIT = 200;
const BUCKETS = 60;
const FACET_FIELDS = ['class', 'device.hostname', 'process.name', 'process.user.name'];
const FACET_WORDS: Record<string, string> = {
  class: 'class',
  'device.hostname': 'host',
  'process.name': 'process',
  'process.user.name': 'user',
};

/** The interval in the URL: fixed by `from` and `to`, else a range up to when it was asked. */
function useInterval(url: UrlState): { from: string; to: string } {
  const { from, to, range, run } = url;
  return useMemo(() => {
    if (from && to) return { from, to };
    return recent(isRange(range) ? range : '24h');
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- `run` changes when the same is asked again
  }, [from, to, range, run]);
}

export function SearchPage() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const q = url['q'] ?? '';
  const time = useInterval(url);
  const field = useRef<HTMLInputElement>(null);
  const answer = useSearchPages({
    q,
    from: time.from,
    to: time.to,
    limit: LIMIT,
    buckets: BUCKETS,
    facets: FACET_FIELDS.join(','),
  });
  const filter = useMemo(
    () => ({
      narrow: (name: string, value: string, how: 'in' | 'out') =>
        change({ q: narrow(q, name, value, how), open: undefined }),
    }),
    [q, change],
  );
  const ask = useCallback(
    (text: string) => change({ q: text, open: undefined, run: String(Date.now() % 1_000_000) }),
    [change],
  );
  useKeys({ '/': () => field.current?.focus(), Escape: () => change({ open: undefined }, 'replace') });
  const items = useMemo(() => answer.data?.pages.flatMap((page) => page.items) ?? [], [answer.data]);
  const opened = items.find((one) => one.id === url['open']);
  const first = answer.data?.pages[0];
  return (
    <FilterContext value={filter}>
      <div className="page page--fill">
        <div className="page__head page__head--search">
          <h1 className="sr-only">{t('search/title')}</h1>
          <QueryField value={q} field={field} problem={answer.error} onAsk={ask} busy={answer.isFetching ? 'yes' : 'no'} />
          <TimePicker time={time} />
        </div>
        {answer.error ? (
          answer.error.code === 'query_syntax' ? null : <Failed problem={answer.error} retry={() => void answer.refetch()} />
        ) : first ? (
          <>
            <Picture answer={first} shown={items.length} />
            <div className={opened ? 'search search--open' : 'search'}>
              <FacetColumn answer={first} />
              <Results
                items={items}
                answer={first}
                more={answer.hasNextPage && !answer.isFetchingNextPage ? () => void answer.fetchNextPage() : undefined}
              />
              {opened && <EventPanel event={opened} onClose={() => change({ open: undefined })} />}
            </div>
          </>
        ) : (
          <div className="blank" role="status">{t('state/loading')}</div>
        )}
      </div>
    </FilterContext>
  );
}

function TimePicker({ time }: { time: { from: string; to: string } }) {
  const { t } = useTranslation();
  const { zone } = usePrefs();
  const [url, change] = useUrl();
  const fixed = Boolean(url['from'] && url['to']);
  const short = (text: string) => stamp(text, zone).slice(5, 16);
  return (
    <NativeSelect
      aria-label={t('time/range')}
      w={fixed ? 236 : 130}
      value={fixed ? 'custom' : isRange(url['range']) ? url['range'] : '24h'}
      onChange={(event) => change({ range: event.currentTarget.value, from: undefined, to: undefined })}
      data={[
        ...RANGES.map((value) => ({ value: value as string, label: t(`time/${value}`) })),
        ...(fixed ? [{ value: 'custom', label: t('time/custom', { from: short(time.from), to: short(time.to) }) }] : []),
      ]}
    />
  );
}

function Picture({ answer, shown }: { answer: SearchAnswer; shown: number }) {
  const { t, i18n } = useTranslation();
  const [url, change] = useUrl();
  const bars = answer.histogram.map((one) => ({ from: Date.parse(one.from), to: Date.parse(one.to), count: one.count }));
  const total = answer.total ?? bars.reduce((sum, bar) => sum + bar.count, 0);
  const brush = (from: number, to: number) =>
    change({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), range: undefined });
  const wider = () => {
    const [start, end] = [bars[0]?.from, bars[bars.length - 1]?.to];
    if (start === undefined || end === undefined) return;
    const half = (end - start) / 2;
    brush(start - half, Math.min(Date.now(), end + half));
  };
  const number = (value: number) => count(value, i18n.language);
  return (
    <section className="panel picture" aria-label={t('search/histogram', { count: total })}>
      <div className="picture__head muted">
        <span><strong className="picture__total">{number(total)}</strong> {t('search/shown', { count: shown })}</span>
        <span>
          {t('search/scanned', { rows: number(answer.scanned_rows), took: millis(answer.took_ms) })} ·{' '}
          {answer.complete ? t('search/complete') : <strong>{t('search/partial')}</strong>}
        </span>
        <span className="spacer" />
        <span className="hint">{t('search/brush')}</span>
        {url['from'] && <button type="button" className="iconbtn" onClick={() => window.history.back()}><Icon name="left" size={12} />{t('search/back')}</button>}
        <button type="button" className="iconbtn" onClick={wider}>{t('search/zoomOut')}</button>
      </div>
      {bars.length > 0 && (
        <Histogram bars={bars} height={56} label={t('search/histogram', { count: total })} loss={answer.loss} onBrush={brush} />
      )}
      <LossNote loss={answer.loss} />
    </section>
  );
}

function FacetColumn({ answer }: { answer: SearchAnswer }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const pick = (name: string, value: string, how: 'in' | 'out') =>
    change({ q: narrow(url['q'] ?? '', name, value, how), open: undefined });
  return (
    <aside className="panel panel__body--scroll search__facets" aria-label={t('search/facets')}>
      {FACET_FIELDS.map((name) => (
        <Facet
          key={name}
          title={t(`search/field/${FACET_WORDS[name] ?? name}`)}
          counts={answer.facets[name] ?? []}
          label={(value) => (name === 'class' ? t([`class/${value}`, value]) : <SafeText text={value} />)}
          onPick={(value) => pick(name, value, 'in')}
          onExclude={(value) => pick(name, value, 'out')}
        />
      ))}
    </aside>
  );
}
