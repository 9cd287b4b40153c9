// The workbench by single alerts, or by the incidents they are part of.
import { useTranslation } from 'react-i18next';

import { Switch } from '../../components/Switch';
import { useUrl } from '../../lib/url';

export function ViewSwitch() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  return (
    <Switch
      label={t('incidents/view')}
      active={url['view'] === 'incidents' ? 'incidents' : 'alerts'}
      options={['alerts', 'incidents'].map((value) => ({ value, label: t(`incidents/by/${value}`) }))}
      onPick={(view) => change({ view: view === 'alerts' ? undefined : view, open: undefined, at: undefined })}
    />
  );
}
