// The dialog before a process is ended: where, what, the effect in words, and the reason.
import { Button, Radio, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { useTerminate } from '../api/hooks';
import type { Plan } from '../api/types';
import { visible } from '../lib/safeText';
import { Dialog } from './Dialog';
import { SafeText } from './Val';

export interface TerminateTarget {
  endpoint: string;
  host: string;
  status?: string;
  alert?: string;
  process: {
    uid: string;
    pid?: number | null;
    name?: string | null;
    cmd_line?: string | null;
    user?: string | null;
    start?: string | null;
  };
}

interface Props {
  target: TerminateTarget | undefined;
  onClose: () => void;
  onPlan: (plan: Plan) => void;
}

export function TerminateDialog({ target, onClose, onPlan }: Props) {
  const { t } = useTranslation();
  return (
    <Dialog state={target ? 'open' : 'closed'} onClose={onClose} title={t('response/title')}>
      {target && <Form target={target} onClose={onClose} onPlan={onPlan} />}
    </Dialog>
  );
}

const REASON_MAX = 500;

function Form({ target, onClose, onPlan }: Props & { target: TerminateTarget }) {
  const { t } = useTranslation();
  const terminate = useTerminate();
  const [scope, setScope] = useState<'process' | 'storyline'>('process');
  const [reason, setReason] = useState('');
  const [missing, setMissing] = useState('');
  const { process } = target;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (reason.trim() === '') return setMissing(t('response/reasonMissing'));
    terminate.mutate(
      { endpoint: target.endpoint, process: process.uid, scope, reason: reason.trim(), alert: target.alert },
      { onSuccess: onPlan },
    );
  };
  const host = visible(target.host);
  return (
    <form className="stack" onSubmit={submit}>
      <dl className="facts">
        <dt>{t('endpoints/host')}</dt>
        <dd><SafeText text={target.host} /></dd>
        <dt>{t('process/name')}</dt>
        <dd><SafeText text={process.name ?? process.uid} /> {process.pid && <span className="muted">{t('process/pid')} {process.pid}</span>}</dd>
        {process.user && (<><dt>{t('process/user')}</dt><dd><SafeText text={process.user} /></dd></>)}
        {process.cmd_line && (<><dt>{t('process/cmd')}</dt><dd className="mono"><SafeText text={process.cmd_line} /></dd></>)}
      </dl>
      <Radio.Group
        label={t('response/scope')}
        value={scope}
        onChange={(value) => setScope(value === 'storyline' ? 'storyline' : 'process')}
      >
        <div className="radios">
          <Radio size="xs" value="process" label={t('response/scopeProcess')} />
          <Radio size="xs" value="storyline" label={t('response/scopeStoryline')} />
        </div>
      </Radio.Group>
      <p className="note">{t(scope === 'process' ? 'response/effectProcess' : 'response/effectStoryline', { host })}</p>
      {target.status && target.status !== 'online' && <p className="warn">{t('response/offline')}</p>}
      <Textarea
        label={t('response/reason')}
        description={t('response/reasonHint')}
        maxLength={REASON_MAX}
        data-autofocus
        value={reason}
        error={missing}
        onChange={(event) => {
          setReason(event.currentTarget.value);
          setMissing('');
        }}
      />
      {terminate.error && <p className="failed" role="alert">{visible(terminate.error.message)}</p>}
      <div className="row">
        <span className="spacer" />
        <Button variant="default" onClick={onClose}>{t('response/cancel')}</Button>
        <Button type="submit" loading={terminate.isPending}>{t('response/confirm')}</Button>
      </div>
    </form>
  );
}
