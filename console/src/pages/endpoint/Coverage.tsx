// What the sensor tried on its host, what worked, and what stays unseen.
import { useTranslation } from 'react-i18next';

import type { Coverage } from '../../api/types';
import { SafeText } from '../../components/Val';

export function BlindSpots({ coverage }: { coverage: Coverage }) {
  const { t } = useTranslation();
  if (coverage.blind.length === 0) return <p className="blank">{t('endpoint/blindEmpty')}</p>;
  return (
    <table className="table table--wrap">
      <thead><tr><th>{t('endpoint/blind')}</th><th>{t('endpoint/affects')}</th><th>{t('endpoint/reason')}</th></tr></thead>
      <tbody>
        {coverage.blind.map((one) => (
          <tr key={one.code}>
            <td className="mono"><SafeText text={one.code} /></td>
            <td>{one.activities.map((name) => t([`class/${name}`, name])).join(', ')}</td>
            <td><SafeText text={one.reason} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function CannotFire({ coverage }: { coverage: Coverage }) {
  const { t } = useTranslation();
  const { judged, cannot_fire: unable } = coverage;
  if (judged === 0) return <p className="blank">{t('endpoint/cannotFireUnknown')}</p>;
  if (unable.length === 0) return <p className="blank">{t('endpoint/cannotFireNone', { judged })}</p>;
  return (
    <table className="table table--wrap">
      <thead><tr><th>{t('endpoint/detection')}</th><th>{t('endpoint/reason')}</th></tr></thead>
      <tbody>
        {unable.map((one) => (
          <tr key={one.id}>
            <td><SafeText text={one.title} /> <span className="muted mono"><SafeText text={one.id} /></span></td>
            <td><SafeText text={one.why} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const TIERS: Record<string, number> = { lsm: 1, tracing: 2, interfaces: 3 };
const MARKS: Record<string, string> = { works: '✓', refused: '✕', not_tried: '–' };

export function Hooks({ coverage }: { coverage: Coverage }) {
  const { t } = useTranslation();
  return (
    <table className="table table--wrap">
      <thead>
        <tr>
          <th>{t('endpoints/tier')}</th>
          <th>{t('endpoint/hook')}</th>
          <th>{t('endpoint/purpose')}</th>
          <th>{t('endpoint/outcome')}</th>
        </tr>
      </thead>
      <tbody>
        {coverage.hooks.map((one, index) => (
          <tr key={index}>
            <td>{TIERS[one.tier] ?? one.tier}</td>
            <td className="mono"><SafeText text={one.hook} /></td>
            <td><SafeText text={one.purpose} /></td>
            <td>
              <span className={one.outcome === 'works' ? 'chip chip--good' : 'chip'}>
                <span aria-hidden="true">{MARKS[one.outcome] ?? '?'}</span> {t([`endpoint/${one.outcome}`, one.outcome])}
              </span>
              {one.reason && <div className="muted"><SafeText text={one.reason} /></div>}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
