// On, off or another level, for every endpoint or for a group, with the reason.
import { Button, NativeSelect, Textarea } from '@mantine/core';
import { useState } from 'react';
import type { FormEvent } from 'react';
import { useTranslation } from 'react-i18next';

import { useGroups, useTune } from '../../api/detections';
import type { Detection, Level } from '../../api/types';
import { Dialog } from '../../components/Dialog';
import { toast } from '../../components/toast';
import { visible } from '../../lib/safeText';

interface Props {
  one: Detection;
  state: 'open' | 'closed';
  onClose: () => void;
}

export function TuneDialog({ one, state, onClose }: Props) {
  const { t } = useTranslation();
  return (
    <Dialog state={state} onClose={onClose} title={t('tuning/title')}>
      <Form one={one} onClose={onClose} />
    </Dialog>
  );
}

const LEVELS: Level[] = ['critical', 'high', 'medium', 'low', 'informational'];
const REASON_MAX = 500;
/** In the choice of groups: every endpoint. No group has this name: names are not empty. */
const EVERY = '';
const SHIPPED = '';

function Form({ one, onClose }: Omit<Props, 'state'>) {
  const { t } = useTranslation();
  const groups = useGroups();
  const tune = useTune(one.id);
  const [group, setGroup] = useState(EVERY);
  const now = (name: string) => one.tuning.find((rule) => (rule.group ?? EVERY) === name);
  const read = (name: string) => {
    const rule = now(name);
    const on = rule?.enabled;
    return { enabled: on === true ? 'on' : on === false ? 'off' : SHIPPED, level: rule?.level ?? SHIPPED };
  };
  const [want, setWant] = useState(() => read(EVERY));
  const [reason, setReason] = useState('');
  const [missing, setMissing] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (reason.trim() === '') return setMissing(t('response/reasonMissing'));
    tune.mutate(
      {
        group: group === EVERY ? null : group,
        enabled: want.enabled === SHIPPED ? null : want.enabled === 'on',
        level: want.level === SHIPPED ? null : (want.level as Level),
        reason: reason.trim(),
      },
      {
        onSuccess: () => {
          toast(t('tuning/saved'));
          onClose();
        },
      },
    );
  };
  return (
    <form className="stack" onSubmit={submit}>
      <NativeSelect
        label={t('tuning/where')}
        value={group}
        onChange={(event) => {
          setGroup(event.currentTarget.value);
          setWant(read(event.currentTarget.value));
        }}
        data={[
          { value: EVERY, label: t('tuning/every') },
          ...(groups.data?.items ?? []).map((each) => ({ value: each.name, label: t('tuning/groupIs', { name: visible(each.name), endpoints: each.endpoints }) })),
        ]}
      />
      <NativeSelect
        label={t('tuning/enabled')}
        value={want.enabled}
        onChange={(event) => setWant({ ...want, enabled: event.currentTarget.value })}
        data={[
          { value: SHIPPED, label: group === EVERY ? t('tuning/asShipped') : t('tuning/asEvery') },
          { value: 'on', label: t('tuning/on') },
          { value: 'off', label: t('tuning/off') },
        ]}
      />
      <NativeSelect
        label={t('tuning/level')}
        value={want.level}
        onChange={(event) => setWant({ ...want, level: event.currentTarget.value })}
        data={[
          { value: SHIPPED, label: group === EVERY ? t('tuning/levelShipped', { level: t(`level/${one.level}`) }) : t('tuning/asEvery') },
          ...LEVELS.map((level) => ({ value: level, label: t(`level/${level}`) })),
        ]}
      />
      <Textarea
        label={t('response/reason')}
        description={t('response/reasonHint')}
        maxLength={REASON_MAX}
        value={reason}
        error={missing}
        onChange={(event) => {
          setReason(event.currentTarget.value);
          setMissing('');
        }}
      />
      {want.enabled === 'off' && <p className="warn">{t('tuning/offEffect')}</p>}
      {tune.error && <p className="failed" role="alert">{visible(tune.error.message)}</p>}
      <div className="row">
        <span className="spacer" />
        <Button variant="default" onClick={onClose}>{t('response/cancel')}</Button>
        <Button type="submit" loading={tune.isPending}>{t('tuning/save')}</Button>
      </div>
    </form>
  );
}
