// One activity in full, with ways on: five minutes around it, everything of its process.
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { EventRow } from '../../api/types';
import { EventFields } from '../../components/EventFields';
import { classIcon, Icon } from '../../components/icons';
import { clause } from '../../lib/query';

const AROUND_MS = 300_000;

export function EventPanel({ event, onClose }: { event: EventRow; onClose: () => void }) {
  const { t } = useTranslation();
  const at = Date.parse(event.time);
  const uid = event.fields['process.uid'];
  const here = clause('device.uid', event.endpoint);
  return (
    <aside className="panel search__panel" aria-label={t('search/panel')}>
      <header className="panel__head">
        <Icon name={classIcon(event.class)} />
        <h2>{t([`class/${event.class}`, event.class])}</h2>
        <span className="spacer" />
        <button type="button" className="iconbtn" aria-label={t('search/close')} title={t('search/close')} onClick={onClose}><Icon name="close" /></button>
      </header>
      <div className="row wrap side__tools side__tools--top">
        <Link
          to="/search"
          search={{ q: here, from: new Date(at - AROUND_MS).toISOString(), to: new Date(at + AROUND_MS).toISOString(), open: event.id } as never}
        >
          {t('search/around')}
        </Link>
        {typeof uid === 'string' && (
          <Link to="/search" search={{ q: `${clause('process.uid', uid)} AND ${here}`, range: '7d' } as never}>{t('search/itsProcess')}</Link>
        )}
      </div>
      <div className="panel__body panel__body--scroll" tabIndex={0} role="group" aria-label={t('search/panel')}>
        <EventFields event={event} />
      </div>
    </aside>
  );
}
