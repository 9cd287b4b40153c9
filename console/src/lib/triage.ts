// Status, finding and owner of alerts, changed for several at once.
import { useTranslation } from 'react-i18next';

import { useChangeAlert } from '../api/hooks';
import type { AlertSummary } from '../api/types';
import type { Triage } from '../components/StatusMenu';
import { toast } from '../components/toast';

/** Says once that all was saved; a refusal is said for what it is. */
export function useTriage() {
  const { t } = useTranslation();
  const change = useChangeAlert();
  return async (alerts: AlertSummary[], patch: Triage & { assignee?: string }) => {
    const asked = alerts.map((alert) => change.mutateAsync({ id: alert.id, expected_version: alert.version, ...patch }));
    const done = await Promise.allSettled(asked);
    const refused = done.flatMap((one) => (one.status === 'rejected' ? [one.reason as { status?: number; message?: string }] : []));
    if (refused.length < done.length) toast(t('alerts/changed'));
    const first = refused[0];
    if (first) toast(first.status === 409 ? t('alerts/conflict') : (first.message ?? t('state/failed')));
  };
}
