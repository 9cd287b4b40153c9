// The dialog before evidence is taken from a host: where, what exactly, and the reason.
import { Button, NativeSelect, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { useRespond } from '../api/hooks';
import type { Plan, ResponseRequest } from '../api/types';
import { visible } from '../lib/safeText';
import { Dialog } from './Dialog';
import { SafeText } from './Val';

export type EvidenceVerb = 'dump' | 'collect' | 'scan' | 'list_live' | 'crossview';

export interface EvidenceTarget {
  verb: EvidenceVerb;
  endpoint: { id: string; host: string; status?: string };
  /** For a dump, and for a scan of memory. */
  process?: { uid: string; pid?: number; name?: string };
  /** What the field of the path begins with. */
  path?: string;
  /** The alert for which it is asked. */
  alert?: string;
}

interface Props {
  target: EvidenceTarget | undefined;
  onClose: () => void;
  onPlan: (plan: Plan) => void;
}

export function EvidenceDialog({ target, onClose, onPlan }: Props) {
  const { t } = useTranslation();
  return (
    <Dialog state={target ? 'open' : 'closed'} onClose={onClose} title={target ? t(`response/verb/${target.verb}`) : ''}>
      {target && <Form target={target} onClose={onClose} onPlan={onPlan} />}
    </Dialog>
  );
}

const REASON_MAX = 500;
const RULES_MAX = 98_304;
const REGIONS = ['anonymous', 'executable', 'stack_heap', 'all'] as const;
const LISTS = ['processes', 'sockets', 'modules'] as const;

type Regions = (typeof REGIONS)[number];
type List = (typeof LISTS)[number];
interface Choices {
  path: string;
  regions: Regions;
  list: List;
  rules: string;
}

/** What is still missing, by field. */
type Missing = Partial<Record<'path' | 'rules' | 'reason', string | undefined>>;

const takesPath = (target: EvidenceTarget) => target.verb === 'collect' || (target.verb === 'scan' && !target.process);

function request(target: EvidenceTarget, choices: Choices, reason: string): ResponseRequest {
  const { verb, endpoint, process } = target;
  return {
    verb,
    endpoint: endpoint.id,
    reason,
    ...(process ? { process: process.uid } : {}),
    ...(target.alert ? { alert: target.alert } : {}),
    ...(takesPath(target) ? { path: choices.path.trim() } : {}),
    ...(verb === 'dump' ? { regions: choices.regions } : {}),
    ...(verb === 'scan' ? { rules: choices.rules } : {}),
    ...(verb === 'list_live' ? { list: choices.list } : {}),
  };
}

function Form({ target, onClose, onPlan }: Props & { target: EvidenceTarget }) {
  const { t } = useTranslation();
  const respond = useRespond();
  const [choices, setChoices] = useState<Choices>({ path: target.path ?? '', regions: 'anonymous', list: 'processes', rules: '' });
  const [reason, setReason] = useState('');
  const [missing, setMissing] = useState<Missing>({});
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const now: Missing = {};
    if (takesPath(target) && !choices.path.trim().startsWith('/')) now.path = t('evidence/pathMissing');
    if (target.verb === 'scan' && choices.rules.trim() === '') now.rules = t('evidence/rulesMissing');
    if (reason.trim() === '') now.reason = t('response/reasonMissing');
    setMissing(now);
    if (Object.keys(now).length > 0) return;
    respond.mutate(request(target, choices, reason.trim()), { onSuccess: onPlan });
  };
  return (
    <form className="stack" onSubmit={submit}>
      <dl className="facts">
        <dt>{t('endpoints/host')}</dt>
        <dd><SafeText text={target.endpoint.host} /></dd>
        {target.process && (
          <>
            <dt>{t('process/name')}</dt>
            <dd><SafeText text={target.process.name ?? target.process.uid} /> {target.process.pid !== undefined && <span className="muted">{t('process/pid')} {target.process.pid}</span>}</dd>
          </>
        )}
      </dl>
      <Fields target={target} choices={choices} missing={missing} onChange={(part) => { setChoices({ ...choices, ...part }); setMissing({ reason: missing.reason }); }} />
      <p className="note">{t(`evidence/effect/${target.verb}`)}</p>
      {target.endpoint.status && target.endpoint.status !== 'online' && <p className="warn">{t('response/offline')}</p>}
      <Textarea
        label={t('response/reason')}
        description={t('response/reasonHint')}
        maxLength={REASON_MAX}
        data-autofocus
        value={reason}
        error={missing.reason}
        onChange={(event) => {
          setReason(event.currentTarget.value);
          setMissing({ ...missing, reason: undefined });
        }}
      />
      {respond.error && <p className="failed" role="alert">{visible(respond.error.message)}</p>}
      <div className="row">
        <span className="spacer" />
        <Button variant="default" onClick={onClose}>{t('response/cancel')}</Button>
        <Button type="submit" loading={respond.isPending}>{t('evidence/confirm')}</Button>
      </div>
    </form>
  );
}

function Fields(props: { target: EvidenceTarget; choices: Choices; missing: Missing; onChange: (part: Partial<Choices>) => void }) {
  const { t } = useTranslation();
  const { target, choices, missing, onChange } = props;
  return (
    <>
      {takesPath(target) && (
        <TextInput
          label={t(target.verb === 'scan' ? 'evidence/pathScan' : 'evidence/path')}
          value={choices.path}
          error={missing.path}
          onChange={(event) => onChange({ path: event.currentTarget.value })}
        />
      )}
      {target.verb === 'dump' && (
        <NativeSelect
          label={t('evidence/regions')}
          value={choices.regions}
          onChange={(event) => onChange({ regions: REGIONS.find((one) => one === event.currentTarget.value) ?? 'anonymous' })}
          data={REGIONS.map((value) => ({ value, label: t(`evidence/region/${value}`) }))}
        />
      )}
      {target.verb === 'list_live' && (
        <NativeSelect
          label={t('evidence/list')}
          value={choices.list}
          onChange={(event) => onChange({ list: LISTS.find((one) => one === event.currentTarget.value) ?? 'processes' })}
          data={LISTS.map((value) => ({ value, label: t(`evidence/of/${value}`) }))}
        />
      )}
      {target.verb === 'scan' && (
        <Textarea
          label={t('evidence/rules')}
          className="mono"
          rows={6}
          maxLength={RULES_MAX}
          value={choices.rules}
          error={missing.rules}
          onChange={(event) => onChange({ rules: event.currentTarget.value })}
        />
      )}
    </>
  );
}
