// Several of a list: chosen ones as chips, one more by typing its name. With nothing chosen it says what
// that means.
import { Input } from '@mantine/core';
import { useId, useState } from 'react';
import { useTranslation } from 'react-i18next';

import { visible } from '../lib/safeText';
import { Icon } from './icons';
import { SafeText } from './Val';

interface Props {
  label: string;
  /** What it means that nothing is chosen. */
  none: string;
  options: { value: string; label: string }[];
  chosen: string[];
  onChange: (chosen: string[]) => void;
}

export function Picks({ label, none, options, chosen, onChange }: Props) {
  const { t } = useTranslation();
  const id = useId();
  const [text, setText] = useState('');
  const named = (value: string) => options.find((one) => one.value === value)?.label ?? value;
  const take = (typed: string) => {
    const found = options.find((one) => one.label === typed || one.value === typed);
    if (!found) return setText(typed);
    setText('');
    if (!chosen.includes(found.value)) onChange([...chosen, found.value]);
  };
  return (
    <Input.Wrapper label={label} labelProps={{ htmlFor: id }} size="xs">
      <div className="picks">
        {chosen.length === 0 && <span className="muted">{none}</span>}
        {chosen.map((value) => (
          <span className="chip" key={value}>
            <SafeText text={named(value)} />
            <button
              type="button"
              className="chip__drop"
              aria-label={t('exceptions/drop', { value: visible(named(value)) })}
              onClick={() => onChange(chosen.filter((one) => one !== value))}
            >
              <Icon name="close" size={10} />
            </button>
          </span>
        ))}
        <input
          id={id}
          className="picks__input"
          list={`${id}-list`}
          value={text}
          placeholder={t('exceptions/add')}
          autoComplete="off"
          onChange={(event) => take(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return;
            event.preventDefault();
            const wanted = text.normalize('NFKC').toLowerCase();
            const first = options.find((one) => wanted !== '' && one.label.toLowerCase().includes(wanted));
            if (first) take(first.value);
          }}
        />
        <datalist id={`${id}-list`}>
          {options.filter((one) => !chosen.includes(one.value)).map((one) => <option key={one.value} value={one.label}>{one.label}</option>)}
        </datalist>
      </div>
    </Input.Wrapper>
  );
}
