// Where indicators were sighted: in the stream, in the history, or lying on a disk.
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { Sighting } from '../../api/coming';
import { useSightings } from '../../api/intel';
import { Blank, More, Ready } from '../../components/Panel';
import { Stamp } from '../../components/Time';
import { Val } from '../../components/Val';
import { fleetQuery } from '../../components/valueMenu';

export function Sightings() {
  const { t } = useTranslation();
  const answer = useSightings();
  const items = answer.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <>
      <Ready answer={answer}>
        {() => items.length === 0 ? <Blank>{t('indicators/sightingsEmpty')}</Blank> : (
          <table className="table">
            <thead>
              <tr>
                <th className="w-stamp">{t('search/time')}</th>
                <th className="w-host">{t('alerts/host')}</th>
                <th className="w-source">{t('indicators/whereSeen')}</th>
                <th className="w-os">{t('alert/field')}</th>
                <th>{t('alert/value')}</th>
                <th className="w-action"><span className="sr-only">{t('search/run')}</span></th>
              </tr>
            </thead>
            <tbody>{items.map((one, index) => <Row key={index} one={one} />)}</tbody>
          </table>
        )}
      </Ready>
      <p className="more"><More answer={answer} /></p>
    </>
  );
}

function Row({ one }: { one: Sighting }) {
  const { t } = useTranslation();
  return (
    <tr>
      <td><Stamp time={one.time} /></td>
      <td><Val field="device.hostname" value={one.host} endpoint={one.endpoint} /></td>
      <td>{t(`indicators/where/${one.where}`)}</td>
      <td className="mono">{one.field}</td>
      <td><Val field={one.field} value={one.value} /></td>
      <td>{one.indicator && <Link to="/indicators" search={{ open: one.indicator } as never}>{t('indicators/one')}</Link>}</td>
    </tr>
  );
}

export function SightingRow({ sighting }: { sighting: Sighting }) {
  const { t } = useTranslation();
  return (
    <div className="hit">
      <div className="row wrap">
        <Val field="device.hostname" value={sighting.host} endpoint={sighting.endpoint} />
        <span className="chip">{t(`indicators/where/${sighting.where}`)}</span>
        <span className="spacer" />
        <Stamp time={sighting.time} />
      </div>
      <dl className="facts">
        <dt className="mono">{sighting.field}</dt>
        <dd><Val field={sighting.field} value={sighting.value} /></dd>
      </dl>
      {sighting.where !== 'inventory' && (
        <Link to="/search" search={{ q: fleetQuery(sighting.field, sighting.value), range: '7d', open: sighting.event?.id } as never}>{t('indicators/activity')}</Link>
      )}
    </div>
  );
}
