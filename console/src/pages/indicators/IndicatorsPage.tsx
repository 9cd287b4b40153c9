// Indicators of compromise: what is looked for, from whom, until when, and where it was sighted.
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useRef } from 'react';
import type { RefObject } from 'react';
import { useTranslation } from 'react-i18next';

import type { Indicator } from '../../api/types';
import { useIndicators, useSources } from '../../api/intel';
import { Blank, More, Ready } from '../../components/Panel';
import { Tabs } from '../../components/Tabs';
import { Age } from '../../components/Time';
import { SafeText } from '../../components/Val';
import { useFollowing } from '../../lib/following';
import { count } from '../../lib/format';
import { useKeys } from '../../lib/keys';
import { useUrl } from '../../lib/url';
import { AddDialog } from './AddDialog';
import { ImportDialog } from './ImportDialog';
import { IndicatorPanel } from './IndicatorPanel';
import { KINDS, LISTS } from './kinds';
import { Sightings } from './Sightings';
import { Sources } from './Sources';

const TABS = ['list', 'sightings', 'sources'] as const;

export function IndicatorsPage() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const view = TABS.find((one) => one === url['tab']) ?? 'list';
  const open = view === 'list' ? url['open'] : undefined;
  const shut = () => change({ dialog: undefined, value: undefined }, 'replace');
  return (
    <div className="page page--fill">
      <div className="page__head">
        <h1>{t('indicators/title')}</h1>
        <span className="spacer" />
        <Button variant="default" onClick={() => change({ dialog: 'add' })}>{t('indicators/add')}</Button>
        <Button onClick={() => change({ dialog: 'import' })}>{t('indicators/import')}</Button>
      </div>
      <div className={open ? 'indicators indicators--open' : 'indicators'}>
        <section className="panel panel--grow">
          <Tabs
            label={t('indicators/views')}
            active={view}
            onPick={(tab) => change({ tab: tab === 'list' ? undefined : tab, open: undefined }, 'replace')}
            tabs={TABS.map((key) => ({ key, label: t(`indicators/tab/${key}`) }))}
          >
            {view === 'list' && <List />}
            {view === 'sightings' && <Sightings />}
            {view === 'sources' && <Sources />}
          </Tabs>
        </section>
        {open && <IndicatorPanel key={open} id={open} onClose={() => change({ open: undefined })} />}
      </div>
      <AddDialog state={url['dialog'] === 'add' ? 'open' : 'closed'} value={url['value'] ?? ''} onClose={shut} />
      <ImportDialog state={url['dialog'] === 'import' ? 'open' : 'closed'} onClose={shut} />
    </div>
  );
}

const LIMIT = 200;

function List() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const answer = useIndicators({ kind: url['kind'], q: url['q'], source: url['source'], list: url['list'], state: url['state'], limit: LIMIT });
  const items = answer.data?.pages.flatMap((page) => page.items) ?? [];
  const at = items.findIndex((one) => one.id === url['open']);
  const move = (step: number) => {
    const next = items[at < 0 ? 0 : Math.min(items.length - 1, Math.max(0, at + step))];
    if (next) change({ open: next.id }, 'replace');
  };
  const field = useRef<HTMLInputElement>(null);
  useKeys({ j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1), '/': () => field.current?.focus(), Escape: () => change({ open: undefined }, 'replace') });
  return (
    <>
      <Filters field={field} />
      <Ready answer={answer}>
        {() => (items.length === 0 ? <Blank>{t(url['q'] || url['kind'] || url['source'] || url['list'] || url['state'] ? 'indicators/noMatch' : 'indicators/empty')}</Blank> : <Table items={items} />)}
      </Ready>
      <p className="more"><More answer={answer} /></p>
    </>
  );
}

function Filters({ field }: { field: RefObject<HTMLInputElement | null> }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const sources = useSources();
  const [text, setText] = useFollowing(url['q'] ?? '');
  const select = (name: 'kind' | 'list' | 'state' | 'source', options: { value: string; label: string }[]) => (
    <NativeSelect
      aria-label={t(`indicators/${name}`)}
      value={url[name] ?? ''}
      onChange={(event) => change({ [name]: event.currentTarget.value || undefined }, 'replace')}
      data={[{ value: '', label: t(`indicators/any/${name}`) }, ...options]}
    />
  );
  return (
    <form
      role="search"
      className="row wrap filters"
      onSubmit={(event) => {
        event.preventDefault();
        change({ q: text.normalize('NFKC').trim(), open: undefined });
      }}
    >
      <TextInput ref={field} w={240} aria-label={t('indicators/find')} placeholder={t('indicators/find')} value={text} onChange={(event) => setText(event.currentTarget.value)} onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()} />
      {select('kind', KINDS.map((value) => ({ value, label: t(`indicators/kindIs/${value}`) })))}
      {select('list', LISTS.map((value) => ({ value, label: t(`indicators/listIs/${value}`) })))}
      {select('source', (sources.data?.items ?? []).map((one) => ({ value: one.source, label: one.source })))}
      {select('state', ['active', 'expired'].map((value) => ({ value, label: t(`indicators/stateIs/${value}`) })))}
    </form>
  );
}

function Table({ items }: { items: Indicator[] }) {
  const { t, i18n } = useTranslation();
  const [url, change] = useUrl();
  const toggle = (id: string) => change({ open: url['open'] === id ? undefined : id });
  return (
    <table className="table">
      <thead>
        <tr>
          <th className="w-kind">{t('indicators/kind')}</th>
          <th>{t('indicators/value')}</th>
          <th className="w-level">{t('indicators/list')}</th>
          <th className="w-source">{t('indicators/source')}</th>
          <th className="w-conf num">{t('indicators/confidence')}</th>
          <th className="w-sight num">{t('indicators/sightings')}</th>
          <th className="w-age">{t('indicators/last')}</th>
          <th className="w-expires">{t('indicators/expires')}</th>
        </tr>
      </thead>
      <tbody>
        {items.map((one) => (
          <tr key={one.id} data-link data-indicator={one.id} data-focus={one.id === url['open']} onClick={() => toggle(one.id)}>
            <td>{t([`indicators/kindIs/${one.kind}`, one.kind])}</td>
            <td>
              <button type="button" className="linklike mono" aria-pressed={one.id === url['open']} onClick={(event) => { event.stopPropagation(); toggle(one.id); }}>
                <SafeText text={one.value} />
              </button>
            </td>
            <td><Use list={one.list} /></td>
            <td><SafeText text={one.source} /></td>
            <td className="num">{one.confidence ?? <span className="muted">–</span>}</td>
            <td className="num">{one.sightings === 0 ? <span className="muted">0</span> : <strong>{count(one.sightings, i18n.language)}</strong>}</td>
            <td><Age time={one.last_sighted} /></td>
            <td><Expiry one={one} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Use({ list }: { list: Indicator['list'] }) {
  const { t } = useTranslation();
  return <span className="chip" data-list={list}>{t(`indicators/listIs/${list}`)}</span>;
}

/** The day it ends on; the past is said in words. */
export function Expiry({ one }: { one: Indicator }) {
  const { t } = useTranslation();
  if (one.expired) return <span className="chip chip--off">{t('indicators/stateIs/expired')}</span>;
  return one.expires ? <time dateTime={one.expires} className="mono">{one.expires.slice(0, 10)}</time> : <span className="muted">{t('indicators/never')}</span>;
}
