// What the alerts of an incident share: a dot under the number of each that shares it.
import { useTranslation } from 'react-i18next';

import type { IncidentDetail, IncidentReason } from '../../api/types';
import { SafeText, Val } from '../../components/Val';
import { alertsOf } from '../../lib/strands';
import type { Strand } from '../../lib/strands';

const FIELDS: Record<string, string> = { user: 'process.user.name', hash: 'file.hash.sha256', address: 'dst_endpoint.ip', domain: 'query.hostname', storyline: 'process.storyline', process: 'process.uid' };
/** More than these do not fit side by side: then their number is said. */
const COLUMNS = 12;

interface Props {
  one: IncidentDetail;
  strands: Strand[];
  onChoose: (alerts: string[]) => void;
}

export function Why({ one, strands, onChoose }: Props) {
  const { t } = useTranslation();
  if (one.alerts.length < 2) return <section><h3>{t('incidents/why')}</h3><p className="muted flat">{t('incidents/alone')}</p></section>;
  // Within one storyline there is nothing to tell apart.
  const grid = strands.length > 1 && strands.length <= COLUMNS;
  return (
    <section>
      <h3>{t('incidents/whyTogether')}</h3>
      <table className="table why-grid">
        <thead>
          <tr>
            <th>{t('incidents/shared')}</th>
            {grid ? strands.map((strand, index) => <th key={strand.lead.id} className="why-grid__col" title={strand.lead.title}>{index + 1}</th>) : <th className="w-num num">{t('incidents/alerts')}</th>}
          </tr>
        </thead>
        <tbody>
          {one.why.map((reason, index) => (
            <tr key={index}>
              <td>
                <button type="button" className="linklike" title={t('incidents/choose')} onClick={() => onChoose(reason.alerts)}>{t([`incidents/kind/${reason.kind}`, reason.kind])}</button>{' '}
                <Shared reason={reason} one={one} />
              </td>
              {grid ? strands.map((strand) => (
                <td key={strand.lead.id} className="why-grid__col">
                  {alertsOf(strand).some((alert) => reason.alerts.includes(alert.id)) && <><span aria-hidden="true">●</span><span className="sr-only">{t('incidents/shares')}</span></>}
                </td>
              )) : <td className="num">{reason.alerts.length}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Shared({ reason, one }: { reason: IncidentReason; one: IncidentDetail }) {
  if (reason.value === '') return null;
  if (reason.kind === 'host-time') {
    const there = one.alerts.find((alert) => alert.endpoint === reason.value);
    return <Val field="device.hostname" value={there?.host ?? reason.value} endpoint={reason.value} />;
  }
  const field = FIELDS[reason.kind];
  return field ? <Val field={field} value={reason.value} /> : <SafeText text={reason.value} />;
}
