// The workbench by single alerts, or by the incidents they are part of.
import { useTranslation } from 'react-i18next';

import { useUrl } from '../../lib/url';

const VIEWS = ['alerts', 'incidents'] as const;

export function ViewSwitch() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const active = url['view'] === 'incidents' ? 'incidents' : 'alerts';
  return (
    <div className="switch" role="group" aria-label={t('incidents/view')}>
      {VIEWS.map((view) => (
        <button type="button" key={view} aria-pressed={view === active} onClick={() => change({ view: view === 'alerts' ? undefined : view, open: undefined, at: undefined })}>
          {t(`incidents/by/${view}`)}
        </button>
      ))}
    </div>
  );
}
