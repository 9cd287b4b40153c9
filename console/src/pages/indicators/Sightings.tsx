// Where indicators were sighted: in the stream, in the history, or lying on a disk.
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { Sighting } from '../../api/types';
import { useSightings } from '../../api/intel';
import { Blank, More, Ready } from '../../components/Panel';
import { Stamp } from '../../components/Time';
import { SafeText, Val } from '../../components/Val';
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
                <th className="w-num num">{t('indicators/times')}</th>
                <th className="w-found">{t('indicators/one')}</th>
              </tr>
            </thead>
            <tbody>{items.map((one) => <Row key={one.id} one={one} />)}</tbody>
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
      <td>{t([`indicators/where/${one.where}`, one.where])}</td>
      <td className="mono"><SafeText text={one.field} /></td>
      <td><Val field={one.path ? 'file.path' : one.field} value={one.path ?? one.value} endpoint={one.endpoint} /></td>
      <td className="num">{one.count}</td>
      <td><Link className="mono" to="/indicators" search={{ open: one.indicator } as never}><SafeText text={one.indicator_value} /></Link></td>
    </tr>
  );
}

export function SightingRow({ sighting }: { sighting: Sighting }) {
  const { t } = useTranslation();
  return (
    <div className="hit">
      <div className="row wrap">
        <Val field="device.hostname" value={sighting.host} endpoint={sighting.endpoint} />
        <span className="chip">{t([`indicators/where/${sighting.where}`, sighting.where])}</span>
        {sighting.count > 1 && <span className="chip">×{sighting.count}</span>}
        <span className="spacer" />
        <Stamp time={sighting.time} />
      </div>
      <dl className="facts">
        <dt className="mono"><SafeText text={sighting.field} /></dt>
        <dd><Val field={sighting.field} value={sighting.value} /></dd>
        {sighting.path && (<><dt>{t('indicators/kindIs/path')}</dt><dd><Val field="file.path" value={sighting.path} endpoint={sighting.endpoint} /></dd></>)}
      </dl>
      {sighting.where !== 'inventory' && (
        <Link to="/search" search={{ q: fleetQuery(sighting.field, sighting.value), range: '7d', open: sighting.event?.id } as never}>{t('indicators/activity')}</Link>
      )}
    </div>
  );
}
