// A set of rules from others: chosen, previewed (what would be taken, what is refused and where), then imported.
import { Button, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { ChangeEvent, FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { useImportRules } from '../../api/detections';
import type { RuleFiles } from '../../api/detections';
import type { RuleImport } from '../../api/types';
import { Dialog } from '../../components/Dialog';
import { Problems } from '../../components/Problems';
import { SeverityMark } from '../../components/Severity';
import { SafeText } from '../../components/Val';
import { count } from '../../lib/format';
import { told } from '../../lib/told';

interface Props {
  state: 'open' | 'closed';
  onClose: () => void;
}

export function ImportRules({ state, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <Dialog state={state} onClose={onClose} title={t('rules/title')} size="lg">
      <Form onClose={onClose} />
    </Dialog>
  );
}

const TEXT_MAX = 200;

/** One archive, or single documents. */
async function read(files: File[]): Promise<RuleFiles> {
  const zip = files.find((file) => /\.zip$/iu.test(file.name));
  if (zip) return { zip };
  const documents = await Promise.all(files.map(async (file) => ({ path: file.webkitRelativePath || file.name, text: await file.text() })));
  return { documents };
}

function Form({ onClose }: { onClose: () => void }) {
  const { t, i18n } = useTranslation();
  const preview = useImportRules();
  const take = useImportRules();
  const [files, setFiles] = useState<File[]>([]);
  const [licence, setLicence] = useState('');
  const [author, setAuthor] = useState('');
  // What was shown is what is taken: a change asks for a new look.
  const changed = () => preview.reset();
  const pick = (event: ChangeEvent<HTMLInputElement>) => {
    setFiles([...(event.currentTarget.files ?? [])]);
    changed();
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const ask = { ...(await read(files)), licence: licence.trim() || undefined, author: author.trim() || undefined };
    if (preview.data) take.mutate({ ...ask, preview: false });
    else preview.mutate({ ...ask, preview: true });
  };
  const problem = take.error ?? preview.error;
  const shown = take.data ?? preview.data;
  return (
    <form className="stack" onSubmit={(event) => void submit(event)}>
      {!take.data && (
        <>
          <div className="row">
            <label className="filepick">
              <input type="file" multiple accept=".zip,.yml,.yaml" className="sr-only" aria-label={t('rules/files')} onChange={pick} />
              <span className="filepick__button" aria-hidden="true">{t('rules/files')}</span>
              <span className="ellipsis muted">{files.length === 0 ? t('indicators/noFile') : <SafeText text={files.map((file) => file.name).join(', ')} />}</span>
            </label>
          </div>
          <div className="terms">
            <TextInput label={t('detections/licence')} description={t('rules/said')} maxLength={TEXT_MAX} value={licence} onChange={(event) => { setLicence(event.currentTarget.value); changed(); }} />
            <TextInput label={t('detections/author')} description={t('rules/said')} maxLength={TEXT_MAX} value={author} onChange={(event) => { setAuthor(event.currentTarget.value); changed(); }} />
          </div>
        </>
      )}
      {shown && <Answer answer={shown} />}
      {problem && <p className="failed" role="alert">{told(problem)}</p>}
      <div className="row">
        <span className="spacer" />
        <Button variant="default" onClick={onClose}>{t(take.data ? 'frame/close' : 'response/cancel')}</Button>
        {!take.data && (preview.data ? (
          <Button type="submit" disabled={preview.data.taken.length === 0} loading={take.isPending}>{t('rules/take', { count: preview.data.taken.length, number: count(preview.data.taken.length, i18n.language) })}</Button>
        ) : (
          <Button type="submit" disabled={files.length === 0} loading={preview.isPending}>{t('exceptions/preview')}</Button>
        ))}
      </div>
    </form>
  );
}

/** Rows shown of each list; a whole public set has thousands. */
const SHOWN = 200;

function Answer({ answer }: { answer: RuleImport }) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => count(value, i18n.language);
  const replaced = answer.taken.filter((one) => one.replaces).length;
  return (
    <section className="preview" aria-label={t('exceptions/preview')} role="status">
      <p>
        <strong>{t(answer.preview ? 'rules/would' : 'rules/taken', { count: answer.taken.length, number: number(answer.taken.length) })}</strong>{' '}
        {replaced > 0 && <span className="muted">{t('rules/replaces', { count: replaced, number: number(replaced) })}</span>}
      </p>
      {answer.refused.length > 0 && (
        <details className="warn" open={answer.taken.length === 0}>
          <summary>{t('rules/refused', { count: answer.refused.length, number: number(answer.refused.length) })}</summary>
          {answer.refused.slice(0, SHOWN).map((one, index) => <div key={index}><span className="mono"><SafeText text={one.path} /></span><Problems problems={[one.problem]} /></div>)}
          <Rest all={answer.refused.length} />
        </details>
      )}
      {answer.taken.length > 0 && (
        <div className="preview__scroll" tabIndex={0} role="group" aria-label={t('detections/title')}>
          <table className="table">
            <thead><tr><th>{t('detections/col/name')}</th><th>{t('rules/path')}</th><th className="w-source">{t('detections/author')}</th><th className="w-source">{t('detections/licence')}</th></tr></thead>
            <tbody>
              {answer.taken.slice(0, SHOWN).map((one) => (
                <tr key={one.path}>
                  <td title={one.detection?.title}>{one.detection && <SeverityMark level={one.detection.level} />} <SafeText text={one.detection?.title ?? one.id} /></td>
                  <td className="mono" title={one.path}><SafeText text={one.path} /></td>
                  <td>{one.author ? <SafeText text={one.author} /> : <span className="muted">–</span>}</td>
                  <td>{one.licence ? <SafeText text={one.licence} /> : <span className="muted">–</span>}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <Rest all={answer.taken.length} />
        </div>
      )}
    </section>
  );
}

function Rest({ all }: { all: number }) {
  const { t, i18n } = useTranslation();
  return all > SHOWN ? <p className="muted more">{t('rules/rest', { number: count(all - SHOWN, i18n.language) })}</p> : null;
}
