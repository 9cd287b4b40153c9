// What was not seen, beside every answer it touches.
import { useTranslation } from 'react-i18next';

import type { Loss } from '../api/types';
import { usePrefs } from '../lib/prefs';
import { stamp } from '../lib/time';
import { SafeText } from './Val';

/** Rows shown at once; an answer can carry thousands. */
const SHOWN = 200;

export function LossTable({ loss }: { loss: Loss[] }) {
  const { t, i18n } = useTranslation();
  const { zone } = usePrefs();
  return (
    <table className="table table--wrap">
      <thead>
        <tr>
          <th>{t('endpoints/host')}</th>
          <th>{t('loss/from')}</th>
          <th>{t('loss/to')}</th>
          <th>{t('loss/part')}</th>
          <th>{t('loss/reason')}</th>
          <th className="num">{t('loss/lost')}</th>
        </tr>
      </thead>
      <tbody>
        {loss.slice(0, SHOWN).map((one, index) => (
          <tr key={index}>
            <td><SafeText text={one.host ?? one.endpoint.slice(0, 8)} /></td>
            <td className="mono nowrap">{stamp(one.from, zone)}</td>
            <td className="mono nowrap">{stamp(one.to, zone)}</td>
            <td><SafeText text={one.part} /></td>
            <td><SafeText text={one.reason} /></td>
            <td className="num">
              {one.lost === null || one.lost === undefined
                ? t('loss/uncounted')
                : one.lost.toLocaleString(i18n.language)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function LossNote({ loss }: { loss: Loss[] | null | undefined }) {
  const { t } = useTranslation();
  if (!loss || loss.length === 0) return null;
  return (
    <details className="warn">
      <summary>
        <strong>{t('loss/title')}</strong> · {t('loss/summary', { count: loss.length })}
      </summary>
      <LossTable loss={loss} />
    </details>
  );
}
