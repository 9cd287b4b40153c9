// One technique: what fires it, why something cannot, and its latest hits.
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import { useTechniqueHits } from '../../api/hooks';
import { HitCard } from '../../components/HitCard';
import { Icon } from '../../components/icons';
import { Ready } from '../../components/Panel';
import { SeverityMark } from '../../components/Severity';
import { SafeText } from '../../components/Val';
import type { Cell } from '../../lib/matrix';

/** Detections named here; the catalogue has them all. */
const NAMED = 20;

export function TechniquePanel({ cell, onClose }: { cell: Cell; onClose: () => void }) {
  const { t } = useTranslation();
  return (
    <aside className="panel search__panel" aria-label={cell.id}>
      <header className="panel__head">
        <h2 className="ellipsis"><span className="mono">{cell.id}</span> <SafeText text={cell.name} /></h2>
        <span className="spacer" />
        <button type="button" className="iconbtn" aria-label={t('search/close')} title={t('search/close')} onClick={onClose}><Icon name="close" /></button>
      </header>
      <div className="panel__body panel__body--scroll" tabIndex={0} role="group" aria-label={cell.id}>
        {cell.cannot && <p className="warn"><strong>{t('techniques/cannot')}</strong> · <SafeText text={cell.cannot} /></p>}
        <h3>{t('techniques/inForce')} ({cell.inForce.length})</h3>
        {cell.inForce.length === 0 && <p className="muted flat">{t('techniques/uncovered')}</p>}
        <ul className="hits">
          {cell.inForce.slice(0, NAMED).map((one) => (
            <li key={one.id} className="row">
              <SeverityMark level={one.level_in_force} />
              <Link className="ellipsis" to="/detections/$id" params={{ id: one.id }}><SafeText text={one.title} /></Link>
              <span className="spacer" />
              <span className="muted">{one.stats.hits_7d > 0 ? one.stats.hits_7d : ''}</span>
            </li>
          ))}
        </ul>
        {cell.inForce.length > NAMED && <p className="flat"><Link to="/detections" search={{ technique: cell.id } as never}>{t('overview/all')}</Link></p>}
        <h3>{t('techniques/hits')}</h3>
        {cell.hits === 0 ? <p className="muted flat">{t('techniques/none')}</p> : <Hits id={cell.id} />}
      </div>
    </aside>
  );
}

function Hits({ id }: { id: string }) {
  const hits = useTechniqueHits(id);
  return <Ready answer={hits}>{(page) => <>{page.items.map((hit, index) => <HitCard key={index} hit={hit} />)}</>}</Ready>;
}
