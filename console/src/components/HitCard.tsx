// One hit: which detection, where, and the values that made it.
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { TechniqueHit } from '../api/types';
import { clause } from '../lib/query';
import { SeverityMark } from './Severity';
import { Stamp } from './Time';
import { ExceptContext, SafeText, Val } from './Val';

export function HitCard({ hit }: { hit: TechniqueHit }) {
  const { t } = useTranslation();
  return (
    <div className="hit">
      <div className="row wrap">
        <SeverityMark level={hit.detection.level} />
        <SafeText text={hit.detection.title} />
        <span className="spacer" />
        <Stamp time={hit.time} />
      </div>
      <ExceptContext value={{ detection: hit.detection.id }}>
        <dl className="facts">
          <dt>{t('alerts/host')}</dt>
          <dd><Val field="device.hostname" value={hit.host} endpoint={hit.endpoint} /></dd>
          {hit.matched.map((one, index) => (
            <div key={index} style={{ display: 'contents' }}>
              <dt className="mono"><SafeText text={one.field} /></dt>
              <dd><Val field={one.field} value={one.value} type="cmdline" /></dd>
            </div>
          ))}
        </dl>
      </ExceptContext>
      <Link to="/search" search={{ q: clause('process.uid', hit.process), range: '7d' } as never}>{t('process/events')}</Link>
    </div>
  );
}
