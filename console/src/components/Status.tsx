// Whether an endpoint is there: shape and word; green is kept for what is well.
import { useTranslation } from 'react-i18next';

import type { Endpoint } from '../api/types';

export function Status({ state }: { state: Endpoint['status'] }) {
  const { t } = useTranslation();
  return (
    <span className="status" data-state={state}>
      <span className="status__dot" aria-hidden="true" />
      {t(`endpoints/state/${state}`)}
    </span>
  );
}
