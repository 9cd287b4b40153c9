// Alerts by score, with facets and a keyboard path: j k Enter x a s.
import { NativeSelect, TextInput } from '@mantine/core';
import { useMemo, useRef } from 'react';
import type { RefObject } from 'react';
import { useTranslation } from 'react-i18next';

import { useAlertPages, useSession } from '../../api/hooks';
import type { AlertSummary, Count, Level } from '../../api/types';
import { Facet } from '../../components/Facets';
import { Ready } from '../../components/Panel';
import { Severity } from '../../components/Severity';
import { SafeText } from '../../components/Val';
import { useFollowing } from '../../lib/following';
import { useUrl } from '../../lib/url';
import type { UrlState } from '../../lib/url';
import { Incidents } from '../incidents/Incidents';
import { ViewSwitch } from '../incidents/ViewSwitch';
import { AlertGrid } from './AlertGrid';

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
              <AlertGrid
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
