// A bordered part of a page with its heading, and what it shows while there is nothing to show.
import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

import type { Problem } from '../api/client';
import { visible } from '../lib/safeText';

export function Panel(props: {
  title: ReactNode;
  tools?: ReactNode;
  body?: 'flush' | 'scroll';
  className?: string;
  children: ReactNode;
}) {
  const body = {
    flush: 'panel__body panel__body--flush',
    scroll: 'panel__body panel__body--flush panel__body--scroll',
  };
  return (
    <section className={`panel ${props.className ?? ''}`}>
      <header className="panel__head">
        <h2>{props.title}</h2>
        <span className="spacer" />
        {props.tools}
      </header>
      <div
        className={props.body ? body[props.body] : 'panel__body'}
        {...(props.body === 'scroll' ? { tabIndex: 0, role: 'group', 'aria-label': typeof props.title === 'string' ? props.title : undefined } : {})}
      >
        {props.children}
      </div>
    </section>
  );
}

export function Blank({ children }: { children: ReactNode }) {
  return <div className="blank"><p>{children}</p></div>;
}

export function Failed({ problem, retry }: { problem: Problem; retry?: () => void }) {
  const { t } = useTranslation();
  const known: Record<number, string> = {
    0: t('state/unreachable'),
    403: t('state/forbidden'),
    404: t('state/notFound'),
  };
  return (
    <div className="blank" role="alert">
      <p className="failed">{t('state/failed')}</p>
      <p>{known[problem.status] ?? visible(problem.message)}</p>
      <p>{t('state/code', { code: visible(problem.code) })}</p>
      {retry && <Button variant="default" onClick={retry}>{t('state/retry')}</Button>}
    </div>
  );
}

interface Answer<T> {
  data: T | undefined;
  error: Problem | null;
  refetch: () => unknown;
}

/** Shows `children` with the answer; while there is none, why. */
export function Ready<T>({ answer, children }: { answer: Answer<T>; children: (data: T) => ReactNode }) {
  const { t } = useTranslation();
  if (answer.data !== undefined) return <>{children(answer.data)}</>;
  if (answer.error) return <Failed problem={answer.error} retry={() => void answer.refetch()} />;
  return <div className="blank" role="status">{t('state/loading')}</div>;
}

interface Pages {
  hasNextPage: boolean;
  isFetchingNextPage: boolean;
  fetchNextPage: () => unknown;
}

/** Asks for the next page, where there is one. */
export function More({ answer }: { answer: Pages }) {
  const { t } = useTranslation();
  if (!answer.hasNextPage) return null;
  return (
    <Button variant="default" loading={answer.isFetchingNextPage} onClick={() => void answer.fetchNextPage()}>
      {t('inventory/more')}
    </Button>
  );
}
