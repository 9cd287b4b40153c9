// The step of a recording that would have been detected, or stopped, first: when, on what, what was done
// before it, and what would not have happened after it.
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { ReportProcess, ReportStep } from '../../api/recordings';
import { Panel } from '../../components/Panel';
import { Severity } from '../../components/Severity';
import { Stamp } from '../../components/Time';
import { SafeText, Val } from '../../components/Val';
import { baseName, count, millis } from '../../lib/format';

interface Props {
  title: string;
  step: ReportStep | null;
  /** What is said when there is none. */
  none: string;
  /** When the recording begins. */
  begun: string | undefined;
}

export function Step({ title, step, none, begun }: Props) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => count(value, i18n.language);
  if (!step) return <Panel title={title}><p className="muted flat">{none}</p></Panel>;
  const { moment, before, after } = step;
  const into = begun ? Date.parse(moment.time) - Date.parse(begun) : undefined;
  return (
    <Panel title={title}>
      <p className="row wrap flat"><Severity level={moment.level} /><Link to="/detections/$id" params={{ id: moment.detection }}><SafeText text={moment.title} /></Link></p>
      <dl className="facts">
        <dt>{t('search/time')}</dt>
        <dd><Stamp time={moment.time} />{into !== undefined && into >= 0 && <span className="muted"> · {t('recordings/into', { time: millis(into) })}</span>}</dd>
        <dt>{t('alerts/host')}</dt><dd><Val field="device.hostname" value={moment.host} /></dd>
        {step.stops && <><dt>{t('recordings/stops')}</dt><dd>{t(`recordings/stopsIs/${step.stops}`)}</dd></>}
        <dt>{t('recordings/line')}</dt>
        <dd><Line line={before.line.length > 0 ? before.line : moment.process ? [moment.process] : []} /></dd>
        <dt>{t('recordings/before')}</dt>
        <dd>{t('recordings/beforeIs', { storyline: number(before.events_of_storyline), host: number(before.events_on_host), time: millis(before.seconds_of_storyline * 1000) })}</dd>
        {after && (
          <>
            <dt>{t('recordings/after')}</dt>
            <dd>
              {t('recordings/afterIs', { events: number(after.events), processes: number(after.processes), alerts: number(after.alerts) })}
              {after.detections.length > 0 && <ul className="plain">{after.detections.map(([id, name, times]) => <li key={id}><SafeText text={name} /> <span className="muted">×{number(times)}</span></li>)}</ul>}
            </dd>
          </>
        )}
      </dl>
    </Panel>
  );
}

/** From the first process to the one that acted. */
function Line({ line }: { line: ReportProcess[] }) {
  if (line.length === 0) return <span className="muted">–</span>;
  return (
    <ol className="plain line">
      {line.map((one) => (
        <li key={one.uid}>
          <Val field="process.cmd_line" value={one.command_line ?? one.executable ?? one.uid} shown={one.command_line ?? (baseName(one.executable) || one.uid)} />
          {one.pid !== null && <span className="muted"> {one.pid}</span>}
        </li>
      ))}
    </ol>
  );
}
