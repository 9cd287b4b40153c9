// Writing a document: the editor, what the server says about the text as it stands, and saving it.
import { Button } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import { useTranslation } from 'react-i18next';

import type { Problem } from '../../api/client';
import { checkText, useSaveDetection } from '../../api/detections';
import { useFields } from '../../api/hooks';
import type { CheckAnswer } from '../../api/types';
import { Blank } from '../../components/Panel';
import { Problems } from '../../components/Problems';
import { Severity } from '../../components/Severity';
import { toast } from '../../components/toast';
import { SafeText } from '../../components/Val';
import { useFollowing } from '../../lib/following';
import { visible } from '../../lib/safeText';
import type { EditorHandle } from './Editor';

const Editor = lazy(() => import('./Editor'));

interface Props {
  /** The text to begin with. */
  start: string;
  /** The document that is replaced; none: a new one. */
  id?: string;
  /** Hears of every change. */
  onText?: (text: string) => void;
}

/** One question per text, for the editor and for the list below it: neither takes it from the other. */
const checking = (text: string) => ({ queryKey: ['check', text], queryFn: () => checkText(text), staleTime: Infinity, retry: false });

export function DocumentForm({ start, id, onText }: Props) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const client = useQueryClient();
  const fields = useFields();
  const save = useSaveDetection();
  const [text, setText] = useFollowing(start);
  const [checked, setChecked] = useState(start);
  const [handle, setHandle] = useState<EditorHandle>();
  const answer = useQuery<CheckAnswer, Problem>(checking(checked));
  // The editor asks when the writer rests; what it learns is what the list below shows.
  const check = async (of: string) => {
    setChecked(of);
    // A failure is told below the text, once.
    return client.fetchQuery<CheckAnswer, Problem>(checking(of)).then((found) => found.problems, () => []);
  };
  const write = (next: string) => {
    setText(next);
    onText?.(next);
  };
  const fresh = checked === text && answer.data !== undefined;
  const meant = answer.data?.detection;
  const other = id !== undefined && meant && meant.id !== id;
  const submit = () => {
    if (!meant) return;
    save.mutate({ id: meant.id, text }, {
      onSuccess: (one) => {
        toast(t('editor/saved'));
        void navigate({ to: '/detections/$id', params: { id: one.id }, search: { tab: 'document' } as never });
      },
    });
  };
  return (
    <div className="document">
      <Suspense fallback={<Blank>{t('state/loading')}</Blank>}>
        <Editor label={t('editor/label')} text={text} mode="write" fields={fields.data ?? []} onText={write} check={check} onReady={setHandle} />
      </Suspense>
      <footer className="document__foot">
        <div className="row" role="status" data-checked={fresh ? (answer.data.ok ? 'fine' : 'wrong') : 'asking'}>
          {!fresh && !answer.error && <span className="muted">{t('editor/checking')}</span>}
          {answer.error && <span className="failed">{visible(answer.error.message)}</span>}
          {fresh && answer.data.ok && <span className="status status--good">{t('editor/fine')}</span>}
          {fresh && !answer.data.ok && <span className="failed">{t('editor/wrong', { count: answer.data.problems.filter((one) => one.severity === 'error').length })}</span>}
          {fresh && meant && (
            <>
              <Severity level={meant.level} />
              <span className="chip">{t(`layer/${meant.layer}`)}</span>
              <span className="ellipsis"><SafeText text={meant.title} /> <span className="mono muted"><SafeText text={meant.id} /></span></span>
            </>
          )}
          <span className="spacer" />
          <span className="muted hint nowrap">{t('editor/keys')}</span>
          <Button disabled={!fresh || !answer.data.ok || !meant || other === true} loading={save.isPending} onClick={submit}>{t('editor/save')}</Button>
        </div>
        {other && <p className="warn">{t('editor/otherId')}</p>}
        {fresh && answer.data.problems.length > 0 && (
          <Problems problems={answer.data.problems} onPick={(one) => handle?.goTo(one.line, one.column)} />
        )}
        {save.error && <p className="failed" role="alert">{visible(save.error.message)}{save.error.hint && ` ${visible(save.error.hint)}`}</p>}
      </footer>
    </div>
  );
}
