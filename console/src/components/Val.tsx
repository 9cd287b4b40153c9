// Every value from telemetry is shown by this one component: hidden characters made visible, and
// one menu (click, right click, Enter or Shift+F10) with what can be done with it.
import { createContext, useContext } from 'react';
import type { MouseEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { ValueType } from '../lib/defang';
import { typeOf } from '../lib/format';
import { pieces, visible } from '../lib/safeText';
import { openValueMenu } from './valueMenu';

/** How a page narrows itself to a value; pages without a filter leave it out. */
export interface FilterTarget {
  narrow: (field: string, value: string, how: 'in' | 'out') => void;
}
export const FilterContext = createContext<FilterTarget | undefined>(undefined);

/** What a page knows of the detection that a value belongs to: then the value can be excepted from it. */
export interface ExceptTarget {
  detection: string;
}
export const ExceptContext = createContext<ExceptTarget | undefined>(undefined);

export function SafeText({ text }: { text: string }) {
  const { t } = useTranslation();
  return (
    <bdi>
      {pieces(text).map((piece, index) =>
        piece.kind === 'plain' ? (
          piece.shown
        ) : (
          <span className="esc" key={index} title={t('val/escape', { code: piece.shown })}>
            {piece.shown}
          </span>
        ),
      )}
    </bdi>
  );
}

export interface ValProps {
  /** Canonical name of the field it is a value of. */
  field: string;
  value: string | number | boolean | null | undefined;
  /** What is shown in its place, for example a base name. */
  shown?: string;
  type?: ValueType;
  /** The endpoint it was seen on, where the menu can lead there. */
  endpoint?: string;
}

const MONO: ReadonlySet<ValueType> = new Set(['hash', 'path', 'ip', 'domain', 'cmdline', 'process']);

export function Val({ field, value, shown, type, endpoint }: ValProps) {
  const { t } = useTranslation();
  const filter = useContext(FilterContext);
  const except = useContext(ExceptContext);
  if (value === null || value === undefined || value === '') {
    return <span className="muted">–</span>;
  }
  const text = String(value);
  const kind = type ?? typeOf(field);
  const open = (event: MouseEvent<HTMLElement>) => {
    event.preventDefault();
    event.stopPropagation();
    openValueMenu({ anchor: event.currentTarget, field, value: text, type: kind, endpoint, filter, except });
  };
  return (
    <button
      type="button"
      className={MONO.has(kind) ? 'val val--mono' : 'val'}
      aria-haspopup="menu"
      title={visible(text)}
      aria-label={shown && shown !== text ? t('val/menu', { value: visible(text) }) : undefined}
      onClick={open}
      onContextMenu={open}
      onDoubleClick={(event) => event.stopPropagation()}
    >
      <SafeText text={shown ?? text} />
    </button>
  );
}
