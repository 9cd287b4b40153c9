// Why nothing of a recorded incident was stopped.
import type { TFunction } from 'i18next';

import type { Report } from '../api/recordings';

/** Why nothing was stopped; what a level would change only where none was given. */
export function neverStopped({ stop_at: from }: Pick<Report, 'stop_at'>, t: TFunction): string {
  if (from) return t('recordings/neverStoppedFrom', { level: t(`level/${from}`) });
  const told = t('recordings/neverStopped');
  return from === null ? `${told} ${t('recordings/stopHint')}` : told;
}
