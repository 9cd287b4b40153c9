// On every page, while the server cannot store what sensors send.
import { useTranslation } from 'react-i18next';

import { useStatus } from '../api/hooks';
import type { Storage } from '../api/types';
import { Icon } from '../components/icons';
import { Stamp } from '../components/Time';
import { SafeText } from '../components/Val';
import { bytes, count } from '../lib/format';

export function StorageBanner() {
  const storage = useStatus().data?.storage;
  // The live region is there before it speaks, so that it is heard when it does.
  return <div role="alert">{storage?.state === 'refusing' && <Banner storage={storage} />}</div>;
}

function Banner({ storage }: { storage: Storage }) {
  const { t, i18n } = useTranslation();
  return (
    <div className="banner" data-banner="storage">
      <Icon name="storage" />
      <div>
        <strong>{t('storage/title')}</strong> {t('storage/effect')}
        <div className="banner__more">
          {t('storage/since')} <Stamp time={storage.since} />
          {' · '}{t('storage/free', { size: bytes(storage.free_bytes) })}
          {' · '}{t('storage/refused', { number: count(storage.refused_batches, i18n.language) })}
          {storage.reason && <>{' · '}<SafeText text={storage.reason} /></>}
        </div>
      </div>
    </div>
  );
}
