// The query field: a combobox that completes field names, then values, and marks where a query
// could not be understood.
import { Button } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useId, useState } from 'react';
import type { FormEvent, KeyboardEvent, RefObject } from 'react';
import { useTranslation } from 'react-i18next';

import { call } from '../../api/client';
import type { Problem } from '../../api/client';
import { useFields } from '../../api/hooks';
import type { Count, FieldInfo } from '../../api/types';
import { SafeText } from '../../components/Val';
import { useFollowing } from '../../lib/following';
import { complete, spotAt } from '../../lib/query';
import type { Spot } from '../../lib/query';
import { visible } from '../../lib/safeText';

interface Props {
  value: string;
  field: RefObject<HTMLInputElement | null>;
  problem: Problem | null;
  busy: 'yes' | 'no';
  onAsk: (text: string) => void;
}

interface Suggestion {
  pick: string;
  note: string;
}

const SUGGESTIONS_MAX = 10;

/** Fields whose name or alias begins with, then holds, what is being written. */
export function fieldSuggestions(fields: FieldInfo[], prefix: string): Suggestion[] {
  const wanted = prefix.toLowerCase();
  const rank = (field: FieldInfo): number => {
    const names = [field.name, ...field.aliases].map((name) => name.toLowerCase());
    if (names.some((name) => name.startsWith(wanted))) return 0;
    return names.some((name) => name.includes(wanted)) ? 1 : 2;
  };
  return fields
    .map((field) => ({ field, rank: rank(field) }))
    .filter((one) => one.rank < 2)
    .sort((a, b) => a.rank - b.rank || a.field.name.localeCompare(b.field.name))
    .slice(0, SUGGESTIONS_MAX)
    .map(({ field }) => ({ pick: field.name, note: field.doc }));
}

function useSuggestions(spot: Spot | undefined): Suggestion[] {
  const fields = useFields();
  const values = useQuery<Count[], Problem>({
    queryKey: ['values', spot?.field, spot?.prefix],
    queryFn: ({ signal }) =>
      call('GET', '/search/values', { query: { field: spot?.field, prefix: spot?.prefix }, signal }),
    enabled: spot?.kind === 'value',
    retry: false,
  });
  if (!spot) return [];
  if (spot.kind === 'field') return fieldSuggestions(fields.data ?? [], spot.prefix);
  return (values.data ?? []).slice(0, SUGGESTIONS_MAX).map((one) => ({ pick: one.value, note: String(one.count) }));
}

export function QueryField({ value, field, problem, busy, onAsk }: Props) {
  const { t } = useTranslation();
  const id = useId();
  const [text, setText] = useFollowing(value);
  const [spot, setSpot] = useState<Spot>();
  const [active, setActive] = useState(-1);
  const suggestions = useSuggestions(spot);
  const open = spot !== undefined && suggestions.length > 0;
  const close = () => {
    setSpot(undefined);
    setActive(-1);
  };
  const look = (input: HTMLInputElement) => setSpot(spotAt(input.value, input.selectionStart ?? input.value.length));
  const pick = (suggestion: Suggestion) => {
    const input = field.current;
    if (!spot || !input) return;
    const done = complete(text, spot, suggestion.pick);
    setText(done.text);
    setActive(-1);
    input.focus();
    window.requestAnimationFrame(() => {
      input.setSelectionRange(done.caret, done.caret);
      if (spot.kind === 'field') look(input);
      else close();
    });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    close();
    onAsk(text.normalize('NFKC').trim());
  };
  const keys = (event: KeyboardEvent<HTMLInputElement>) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const chosen = suggestions[active];
    if (step && open) setActive((active + step + suggestions.length) % suggestions.length);
    else if (step === 1) look(event.currentTarget);
    else if ((event.key === 'Enter' || event.key === 'Tab') && open && chosen) pick(chosen);
    else if (event.key === 'Escape') {
      if (open) close();
      else event.currentTarget.blur();
    } else return;
    event.preventDefault();
  };
  return (
    <form className="query" role="search" onSubmit={submit}>
      <div className="query__box">
        <input
          ref={field}
          className="query__input mono"
          role="combobox"
          aria-label={t('search/query')}
          aria-expanded={open}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={active >= 0 && open ? `${id}-${active}` : undefined}
          aria-invalid={problem?.code === 'query_syntax'}
          aria-describedby={problem?.code === 'query_syntax' ? `${id}-error` : undefined}
          placeholder={t('search/placeholder')}
          spellCheck={false}
          autoComplete="off"
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value);
            setActive(-1);
            look(event.currentTarget);
          }}
          onKeyDown={keys}
          onBlur={close}
        />
        <div id={`${id}-list`} role="listbox" aria-label={t('search/suggestions')} className="query__list" hidden={!open}>
          {suggestions.map((one, index) => (
            <div
              role="option"
              key={one.pick}
              id={`${id}-${index}`}
              aria-selected={index === active}
              className="query__option"
              onMouseDown={(event) => {
                event.preventDefault();
                pick(one);
              }}
            >
              <span className="mono ellipsis"><SafeText text={one.pick} /></span>
              <span className="muted ellipsis">{one.note}</span>
            </div>
          ))}
        </div>
        {problem?.code === 'query_syntax' && <SyntaxError id={`${id}-error`} text={value} problem={problem} />}
      </div>
      <Button type="submit" loading={busy === 'yes'}>{t('search/run')}</Button>
    </form>
  );
}

/** The query again with the part that was not understood underlined, and what to do about it. */
function SyntaxError({ id, text, problem }: { id: string; text: string; problem: Problem }) {
  const { t } = useTranslation();
  const [from, to] = problem.span ?? [0, 0];
  const end = Math.max(to, from + 1);
  return (
    <div className="query__error" id={id} role="alert">
      {problem.span && (
        <div className="mono">
          <SafeText text={text.slice(0, from)} />
          <mark><SafeText text={text.slice(from, end) || ' '} /></mark>
          <SafeText text={text.slice(end)} />
        </div>
      )}
      <div className="failed">
        {visible(problem.message)}
        {problem.span && <span className="muted"> · {t('search/position', { at: from + 1 })}</span>}
      </div>
      {problem.hint && <div className="muted">{visible(problem.hint)}</div>}
    </div>
  );
}
