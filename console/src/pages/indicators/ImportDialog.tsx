// Indicators from a file or a pasted report. First what would be taken and what not; then the import, and
// what it finds in the history and on the disks.
import { Button, NativeSelect, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { ChangeEvent, FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { useImport, usePreviewImport } from '../../api/intel';
import { Dialog } from '../../components/Dialog';
import { SafeText } from '../../components/Val';
import { visible } from '../../lib/safeText';
import { ImportPreview } from './ImportPreview';
import { ImportResult } from './ImportResult';
import { expiry } from './kinds';
import { Terms, USUAL } from './Terms';

interface Props {
  state: 'open' | 'closed';
  onClose: () => void;
}

export function ImportDialog({ state, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <Dialog state={state} onClose={onClose} title={t('indicators/importTitle')} size="lg">
      <Form onClose={onClose} />
    </Dialog>
  );
}

const FORMATS = ['auto', 'stix', 'misp', 'openioc', 'csv', 'text', 'report'];
const LABEL_MAX = 100;

function Form({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const preview = usePreviewImport();
  const take = useImport();
  const [text, setText] = useState('');
  const [file, setFile] = useState<File>();
  const [format, setFormat] = useState('auto');
  const [terms, setTerms] = useState(USUAL);
  const [label, setLabel] = useState('');
  const [missing, setMissing] = useState('');
  const raw = () => file ?? new Blob([text]);
  // What was shown is what is taken: a change asks for a new look.
  const changed = () => preview.reset();
  const pick = (event: ChangeEvent<HTMLInputElement>) => {
    const chosen = event.currentTarget.files?.[0];
    setFile(chosen);
    changed();
    if (chosen && terms.source === '') setTerms({ ...terms, source: chosen.name });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!preview.data) return preview.mutate({ raw: raw(), format });
    if (terms.source.trim() === '') return setMissing(t('indicators/sourceMissing'));
    take.mutate({ raw: raw(), format: preview.data.format, document: file?.name, source: terms.source.trim(), list: terms.list, confidence: terms.confidence, expires: expiry(terms.lasts), label: label.trim() || undefined });
  };
  if (take.data) return <ImportResult result={take.data} onClose={onClose} />;
  const problem = take.error ?? preview.error;
  return (
    <form className="stack" onSubmit={submit}>
      <div className="row wrap">
        <label className="filepick">
          <input type="file" className="sr-only" aria-label={t('indicators/file')} onChange={pick} />
          <span className="filepick__button" aria-hidden="true">{t('indicators/file')}</span>
          <span className="ellipsis muted">{file ? <SafeText text={file.name} /> : t('indicators/noFile')}</span>
        </label>
        <NativeSelect
          label={t('indicators/format')}
          value={format}
          onChange={(event) => {
            setFormat(event.currentTarget.value);
            changed();
          }}
          data={FORMATS.map((value) => ({ value, label: t(`indicators/formatIs/${value}`) }))}
        />
      </div>
      {!file && (
        <Textarea
          label={t('indicators/paste')}
          description={t('indicators/pasteHint')}
          rows={6}
          data-autofocus
          spellCheck={false}
          classNames={{ input: 'mono' }}
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value);
            changed();
          }}
        />
      )}
      {preview.data && (
        <>
          <ImportPreview preview={preview.data} />
          <Terms terms={terms} missing={missing} onChange={(next) => { setTerms(next); setMissing(''); }} />
          <TextInput label={t('indicators/label')} maxLength={LABEL_MAX} value={label} onChange={(event) => setLabel(event.currentTarget.value)} />
        </>
      )}
      {problem && <p className="failed" role="alert">{visible(problem.message)}{problem.hint && ` ${visible(problem.hint)}`}</p>}
      <div className="row">
        <span className="spacer" />
        <Button variant="default" onClick={onClose}>{t('response/cancel')}</Button>
        {preview.data ? (
          <Button type="submit" disabled={preview.data.total === 0} loading={take.isPending}>{t('indicators/importDo', { count: preview.data.total })}</Button>
        ) : (
          <Button type="submit" disabled={!file && text.trim() === ''} loading={preview.isPending}>{t('exceptions/preview')}</Button>
        )}
      </div>
    </form>
  );
}
