// How a detection differs from how it came, by group.
import { Button } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Detection } from '../../api/types';
import { Blank } from '../../components/Panel';
import { Severity } from '../../components/Severity';
import { Stamp } from '../../components/Time';
import { SafeText } from '../../components/Val';

export function TuningTable({ one, onTune }: { one: Detection; onTune: () => void }) {
  const { t } = useTranslation();
  return (
    <>
      {one.tuning.length === 0 ? (
        <Blank>{t('tuning/empty')}</Blank>
      ) : (
        <table className="table">
          <thead><tr><th>{t('tuning/where')}</th><th>{t('tuning/enabled')}</th><th>{t('tuning/level')}</th><th>{t('response/reason')}</th><th className="w-user">{t('tuning/by')}</th><th className="w-stamp">{t('search/time')}</th></tr></thead>
          <tbody>
            {one.tuning.map((rule) => (
              <tr key={rule.group ?? ''}>
                <td>{rule.group === null ? t('tuning/every') : <SafeText text={rule.group} />}</td>
                <td>{rule.enabled === null ? t('tuning/asShipped') : t(rule.enabled ? 'tuning/on' : 'tuning/off')}</td>
                <td>{rule.level ? <Severity level={rule.level} /> : t('tuning/asShipped')}</td>
                <td><SafeText text={rule.reason} /></td>
                <td><SafeText text={rule.actor} /></td>
                <td><Stamp time={rule.time} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p className="more"><Button variant="default" onClick={onTune}>{t('tuning/open')}</Button></p>
    </>
  );
}
