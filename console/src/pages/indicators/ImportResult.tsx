// What an import did, and the look through history and inventory that follows it.
import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { IndicatorImport } from '../../api/types';
import { useRetro } from '../../api/intel';
import { Meter } from '../../components/Meter';
import { Stamp } from '../../components/Time';
import { SafeText } from '../../components/Val';
import { count } from '../../lib/format';
import { Refused } from './ImportPreview';

export function ImportResult({ result, onClose }: { result: IndicatorImport; onClose: () => void }) {
  const { t, i18n } = useTranslation();
  const retro = useRetro(result.retro?.id);
  const number = (value: number) => count(value, i18n.language);
  return (
    <div className="stack">
      <p className="flat" role="status"><strong>{t('indicators/imported', { count: result.imported, number: number(result.imported) })}</strong> <span className="muted">{t('indicators/importedKnown', { known: number(result.known) })}</span></p>
      <Refused refused={result.refused} />
      {retro.data && (
        <section className="preview" aria-label={t('indicators/retro')}>
          <p role="status"><strong>{t(`indicators/retroIs/${retro.data.state}`)}</strong></p>
          {retro.data.state === 'running' && <Meter value={retro.data.progress} max={1} />}
          {retro.data.looked_from && <p className="muted"><Stamp time={retro.data.looked_from} /> – <Stamp time={retro.data.looked_to} /></p>}
          {retro.data.incomplete && <p className="warn"><strong>{t('search/partial')}</strong> · <SafeText text={retro.data.incomplete} /></p>}
          {retro.data.error && <p className="failed" role="alert"><SafeText text={retro.data.error} /></p>}
          <p>
            {t('indicators/retroFound', { count: retro.data.sightings, number: number(retro.data.sightings), hosts: number(retro.data.hosts) })}{' '}
            {retro.data.sightings > 0 && <Link to="/indicators" search={{ tab: 'sightings' } as never}>{t('indicators/tab/sightings')}</Link>}
          </p>
        </section>
      )}
      <div className="row"><span className="spacer" /><Button data-autofocus onClick={onClose}>{t('frame/close')}</Button></div>
    </div>
  );
}
