// One indicator by hand.
import { Button, NativeSelect, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { useAddIndicator } from '../../api/intel';
import { Dialog } from '../../components/Dialog';
import { toast } from '../../components/toast';
import { visible } from '../../lib/safeText';
import { expiry, KINDS } from './kinds';
import { Terms, USUAL } from './Terms';

interface Props {
  state: 'open' | 'closed';
  value: string;
  onClose: () => void;
}

export function AddDialog({ state, value, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <Dialog state={state} onClose={onClose} title={t('indicators/addTitle')}>
      <Form value={value} onClose={onClose} />
    </Dialog>
  );
}

const NOTE_MAX = 500;

function Form({ value: start, onClose }: Omit<Props, 'state'>) {
  const { t } = useTranslation();
  const add = useAddIndicator();
  const [value, setValue] = useState(start);
  const [kind, setKind] = useState('');
  const [note, setNote] = useState('');
  const [terms, setTerms] = useState({ ...USUAL, source: t('indicators/byHand') });
  const [missing, setMissing] = useState<'value' | 'source'>();
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (value.trim() === '') return setMissing('value');
    if (terms.source.trim() === '') return setMissing('source');
    const { list, source, confidence, lasts } = terms;
    add.mutate(
      { value: value.trim(), list, source: source.trim(), confidence, expires: expiry(lasts), ...(kind ? { kind } : {}), ...(note.trim() ? { note: note.trim() } : {}) },
      {
        onSuccess: () => {
          toast(t('indicators/added'));
          onClose();
        },
      },
    );
  };
  return (
    <form className="stack" onSubmit={submit}>
      <TextInput
        label={t('indicators/value')}
        description={t('indicators/valueHint')}
        data-autofocus
        classNames={{ input: 'mono' }}
        value={value}
        error={missing === 'value' ? t('indicators/valueMissing') : undefined}
        onChange={(event) => {
          setValue(event.currentTarget.value);
          setMissing(undefined);
        }}
      />
      <NativeSelect
        label={t('indicators/kind')}
        value={kind}
        onChange={(event) => setKind(event.currentTarget.value)}
        data={[{ value: '', label: t('indicators/kindGuessed') }, ...KINDS.map((one) => ({ value: one, label: t(`indicators/kindIs/${one}`) }))]}
      />
      <Terms terms={terms} missing={missing === 'source' ? t('indicators/sourceMissing') : ''} onChange={setTerms} />
      <TextInput label={t('alert/note')} maxLength={NOTE_MAX} value={note} onChange={(event) => setNote(event.currentTarget.value)} />
      {add.error && <p className="failed" role="alert">{visible(add.error.message)}{add.error.hint && ` ${visible(add.error.hint)}`}</p>}
      <div className="row">
        <span className="spacer" />
        <Button variant="default" onClick={onClose}>{t('response/cancel')}</Button>
        <Button type="submit" loading={add.isPending}>{t('indicators/addDo')}</Button>
      </div>
    </form>
  );
}
