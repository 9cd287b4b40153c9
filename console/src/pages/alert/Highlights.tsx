// The steps of an alert in order of time. Choosing one lights its process and activities.
import { useEffect, useRef } from 'react';
import { useTranslation } from 'react-i18next';

import type { AlertDetail, Highlight } from '../../api/types';
import { SeverityMark } from '../../components/Severity';
import { Stamp } from '../../components/Time';
import { SafeText } from '../../components/Val';
import { ofHighlight } from '../../lib/selection';
import type { Lit } from '../../lib/selection';

interface Props {
  alert: AlertDetail;
  shown: Lit;
  onSelect: (sel: string | undefined) => void;
}

export function Highlights({ alert, shown, onSelect }: Props) {
  const { t } = useTranslation();
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    list.current?.querySelector('[data-lit="yes"]')?.scrollIntoView({ block: 'nearest' });
  }, [shown]);
  return (
    <section className="panel alert__steps">
      <header className="panel__head">
        <h2>{t('alert/highlights')}</h2>
        <span className="muted">{alert.highlights.length}</span>
      </header>
      <ol className="steps" ref={list} tabIndex={0} aria-label={t('alert/highlights')}>
        {alert.highlights.map((one, index) => (
          <Step
            key={one.key}
            highlight={one}
            position={index + 1}
            lit={shown.highlights.has(one.key) ? 'yes' : 'no'}
            chosen={shown.chosen?.kind === 'highlight' && shown.chosen.key === one.key ? 'yes' : 'no'}
            onPick={(chosen) => onSelect(chosen ? undefined : ofHighlight(one.key))}
          />
        ))}
      </ol>
    </section>
  );
}

interface StepProps {
  highlight: Highlight;
  position: number;
  lit: 'yes' | 'no';
  chosen: 'yes' | 'no';
  onPick: (chosen: boolean) => void;
}

function Step({ highlight, position, lit, chosen, onPick }: StepProps) {
  const { t } = useTranslation();
  const { detection } = highlight;
  return (
    <li>
      <button
        type="button"
        className="step"
        data-highlight={highlight.key}
        data-lit={lit}
        aria-pressed={chosen === 'yes'}
        onClick={() => onPick(chosen === 'yes')}
      >
        <span className="step__no">{position}</span>
        <span className="step__body">
          <span className="row">
            <SeverityMark level={detection.level} />
            <span className="step__title"><SafeText text={detection.title} /></span>
            {highlight.count > 1 && <span className="chip">×{highlight.count}</span>}
          </span>
          <span className="step__more">
            <Stamp time={highlight.time} form="clock" />
            {detection.layer !== 'filter' && <span>{t(`layer/${detection.layer}`)}</span>}
            <span className="mono">{detection.techniques.join(' ')}</span>
            {highlight.process_name && <span className="ellipsis mono"><SafeText text={highlight.process_name} /></span>}
          </span>
        </span>
      </button>
    </li>
  );
}
