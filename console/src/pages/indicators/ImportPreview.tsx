// What an import would take, by kind; what contradicts what is known; what was not understood.
import { useTranslation } from 'react-i18next';

import type { IndicatorPreview } from '../../api/types';
import { SafeText } from '../../components/Val';
import { count } from '../../lib/format';
import { visible } from '../../lib/safeText';

export function ImportPreview({ preview }: { preview: IndicatorPreview }) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => count(value, i18n.language);
  return (
    <section className="preview" aria-label={t('exceptions/preview')} role="status">
      <p>
        <strong>{t('indicators/found', { count: preview.total, number: number(preview.total) })}</strong>{' '}
        <span className="muted">{t([`indicators/formatIs/${preview.format}`, preview.format])} · {t('indicators/foundHow', { fresh: number(preview.new), known: number(preview.known), allowed: number(preview.allowed) })}</span>
      </p>
      <p className="row wrap">
        {Object.entries(preview.counts).map(([kind, many]) => <span key={kind} className="chip">{t([`indicators/kindIs/${kind}`, kind])} <strong>{number(many)}</strong></span>)}
      </p>
      {preview.sample.length > 0 && (
        <div className="preview__scroll" tabIndex={0} role="group" aria-label={t('indicators/sample')}>
          <table className="table table--wrap">
            <thead><tr><th>{t('indicators/kind')}</th><th>{t('indicators/value')}</th><th>{t('indicators/defanged')}</th></tr></thead>
            <tbody>
              {preview.sample.map((one, index) => (
                <tr key={index}>
                  <td className="nowrap">{t([`indicators/kindIs/${one.kind}`, one.kind])}</td>
                  <td className="mono"><SafeText text={one.value} /></td>
                  <td className="mono">{one.defanged_from ? <SafeText text={one.defanged_from} /> : <span className="muted">–</span>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {preview.conflicts.length > 0 && (
        <details className="warn">
          <summary>{t('indicators/conflicts', { count: preview.conflicts.length })}</summary>
          <ul>{preview.conflicts.map((one, index) => <li key={index}><span className="mono"><SafeText text={one.value} /></span> · <Said code={one.code} values={[one.value, one.by ?? '']} text={one.why} /></li>)}</ul>
        </details>
      )}
      <Refused refused={preview.refused} />
      {preview.notes && preview.notes.length > 0 && (
        <details>
          <summary>{t('indicators/notes', { count: preview.notes.length })}</summary>
          <Problems of={preview.notes} />
        </details>
      )}
    </section>
  );
}

export function Refused({ refused }: { refused: IndicatorPreview['refused'] }) {
  const { t } = useTranslation();
  if (refused.length === 0) return null;
  return (
    <details className="warn">
      <summary>{t('indicators/refused', { count: refused.length })}</summary>
      <Problems of={refused} />
    </details>
  );
}

function Problems({ of }: { of: IndicatorPreview['refused'] }) {
  return <ul>{of.map((one, index) => <li key={index}><Place place={one.place} /> · <Said code={one.code} values={one.values} text={one.reason} /></li>)}</ul>;
}

/** Lines and bytes are said in the reader's language; ids of objects are what they are. */
function Place({ place }: { place: string }) {
  const { t } = useTranslation();
  const [, unit, number] = /^(line|byte) (\d+)$/u.exec(place) ?? [];
  if (unit) return <>{t(`indicators/place/${unit}`, { number })}</>;
  return place === 'document' ? <>{t('indicators/place/document')}</> : <span className="mono"><SafeText text={place} /></span>;
}

/** What the server has to say, by its code; its own words stay at hand, and stand alone where there is no code. */
function Said({ code, values, text }: { code: string; values: string[]; text: string }) {
  const { t, i18n } = useTranslation();
  const key = `indicators/said/${code}`;
  if (!i18n.exists(key) || values.includes('')) return <SafeText text={text} />;
  const [first = '', second = ''] = values.map((value) => visible(value));
  const named = code === 'form' ? t([`indicators/kindIs/${second}`, second]) : code === 'caution' ? t([`indicators/cautionIs/${second}`, second]) : second;
  return <span title={visible(text)}>{t(key, { first, second: named })}</span>;
}
