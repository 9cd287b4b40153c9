// Who the indicators come from, how many still hold, and how many were ever sighted.
import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useRemoveSource, useSources } from '../../api/intel';
import { Confirm } from '../../components/Confirm';
import { Blank, Ready } from '../../components/Panel';
import { Stamp } from '../../components/Time';
import { SafeText } from '../../components/Val';
import { count } from '../../lib/format';
import { visible } from '../../lib/safeText';

export function Sources() {
  const { t, i18n } = useTranslation();
  const answer = useSources();
  const remove = useRemoveSource();
  const [asked, setAsked] = useState<string>();
  const number = (value: number) => count(value, i18n.language);
  return (
    <>
      <Ready answer={answer}>
        {(data) => data.items.length === 0 ? <Blank>{t('indicators/sourcesEmpty')}</Blank> : (
          <table className="table">
            <thead>
              <tr>
                <th>{t('indicators/source')}</th>
                <th className="w-level num">{t('indicators/count')}</th>
                <th className="w-level num">{t('indicators/stateIs/active')}</th>
                <th className="w-level num">{t('indicators/sightings')}</th>
                <th className="w-stamp">{t('indicators/lastImport')}</th>
                <th className="w-action"><span className="sr-only">{t('indicators/remove')}</span></th>
              </tr>
            </thead>
            <tbody>
              {data.items.map((one) => (
                <tr key={one.source}>
                  <td><Link to="/indicators" search={{ source: one.source } as never}><SafeText text={one.source} /></Link></td>
                  <td className="num">{number(one.count)}</td>
                  <td className="num">{number(one.active)}</td>
                  <td className="num">{number(one.sightings)}</td>
                  <td><Stamp time={one.last_import} /></td>
                  <td><Button size="compact-xs" variant="default" onClick={() => setAsked(one.source)}>{t('indicators/remove')}</Button></td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Ready>
      <Confirm
        state={asked === undefined ? 'closed' : 'open'}
        title={t('indicators/remove')}
        text={t('indicators/removeSource', { source: visible(asked ?? '') })}
        confirm={t('indicators/removeDo')}
        busy={remove.isPending ? 'yes' : 'no'}
        problem={remove.error}
        onClose={() => setAsked(undefined)}
        onConfirm={() => asked !== undefined && remove.mutate(asked, { onSuccess: () => setAsked(undefined) })}
      />
    </>
  );
}
