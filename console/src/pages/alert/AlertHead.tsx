// The head of an alert: what, where, how heavy, who works on it.
import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useChangeAlert, useSession } from '../../api/hooks';
import type { AlertChange } from '../../api/hooks';
import type { AlertDetail } from '../../api/types';
import { Score, Severity } from '../../components/Severity';
import { StatusMenu } from '../../components/StatusMenu';
import { Stamp } from '../../components/Time';
import { toast } from '../../components/toast';
import { SafeText, Val } from '../../components/Val';
import { useKeys } from '../../lib/keys';

export function AlertHead({ alert, onTerminate }: { alert: AlertDetail; onTerminate: () => void }) {
  const { t } = useTranslation();
  const session = useSession();
  const change = useChangeAlert();
  const [menu, setMenu] = useState<'open' | 'closed'>('closed');
  const me = session.data?.user.name;
  const save = (patch: Omit<AlertChange, 'id' | 'expected_version'>) =>
    change.mutate(
      { id: alert.id, expected_version: alert.version, ...patch },
      {
        onSuccess: () => toast(t('alerts/changed')),
        onError: (problem) => toast(problem.status === 409 ? t('alerts/conflict') : problem.message),
      },
    );
  const own = () => me && save({ assignee: alert.assignee === me ? '' : me });
  useKeys({ a: own, s: () => setMenu('open') });
  const label = alert.finding
    ? `${t(`status/${alert.status}`)} · ${t(`finding/${alert.finding}`)}`
    : t(`status/${alert.status}`);
  return (
    <header className="panel alerthead">
      <div className="alerthead__line">
        <Score score={alert.score} level={alert.level} size="big" />
        <h1 className="ellipsis"><SafeText text={alert.title} /></h1>
        <Severity level={alert.level} />
        <span className="spacer" />
        <StatusMenu opened={menu} onOpened={setMenu} label={label} onPick={save} />
        <button type="button" className="iconbtn iconbtn--line" onClick={own}>
          {alert.assignee ? `${t('alert/owner')}: ${alert.assignee}` : t('alert/takeOver')}
        </button>
        <Button variant="default" onClick={onTerminate}>{t('response/terminate')}</Button>
      </div>
      <div className="alerthead__facts muted">
        <span><Val field="device.hostname" value={alert.host} endpoint={alert.endpoint} /></span>
        <span><Val field="process.user.name" value={alert.user} /></span>
        {alert.process && <span><Val field="process.file.path" value={alert.process.exe ?? alert.process.name} /></span>}
        <span>{t('alert/first')} <Stamp time={alert.first} /></span>
        <span>{t('alert/last')} <Stamp time={alert.last} form="clock" /></span>
        <span className="row">
          {alert.tactics.map((tactic) => (
            <Link key={tactic} className="chip" to="/alerts" search={{ tactic } as never}>{t([`tactic/${tactic}`, tactic])}</Link>
          ))}
        </span>
        {alert.incident && <Link to="/alerts" search={{ view: 'incidents', open: alert.incident } as never}>{t('incidents/one')}</Link>}
        <span>{t('alert/revision', { revision: alert.revision })}</span>
      </div>
    </header>
  );
}
