// The course of a recorded incident: the two steps that matter most, then everything by time or by detection.
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { Moment, Report, ReportDetection } from '../../api/recordings';
import { Blank } from '../../components/Panel';
import { SeverityMark } from '../../components/Severity';
import { Tabs } from '../../components/Tabs';
import { Stamp } from '../../components/Time';
import { SafeText, Val } from '../../components/Val';
import { count } from '../../lib/format';
import { neverStopped } from '../../lib/stopped';
import { useUrl } from '../../lib/url';
import { Step } from './Step';

const LAYERS = ['filter', 'rule', 'model'] as const;

export function Course({ report }: { report: Report }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const view = url['tab'] ?? 'steps';
  const begun = report.hosts.map((host) => host.first).filter((time) => time !== null).sort()[0];
  return (
    <div className="recording">
      <div className="stack recording__side">
        <Step title={t('recordings/earliestDetected')} step={report.earliest_detected} none={t('recordings/neverDetected')} begun={begun} />
        <Step title={t('recordings/earliestStopped')} step={report.earliest_stopped} none={neverStopped(report, t)} begun={begun} />
      </div>
      <section className="panel">
        <Tabs
          label={t('recordings/views')}
          active={view}
          onPick={(tab) => change({ tab: tab === 'steps' ? undefined : tab }, 'replace')}
          tabs={[
            { key: 'steps', label: t('recordings/tab/steps'), count: report.steps.length },
            { key: 'detections', label: t('recordings/tab/detections'), count: report.detections.length },
            { key: 'layers', label: t('recordings/tab/layers') },
          ]}
        >
          {view === 'steps' && <Steps steps={report.steps} stopped={report.earliest_stopped?.moment} />}
          {view === 'detections' && <Detections items={report.detections} />}
          {view === 'layers' && <Layers report={report} />}
        </Tabs>
      </section>
    </div>
  );
}

const same = (one: Moment, other: Moment | undefined) => other !== undefined && one.event === other.event && one.detection === other.detection;

function Steps({ steps, stopped }: { steps: Moment[]; stopped: Moment | undefined }) {
  const { t } = useTranslation();
  if (steps.length === 0) return <Blank>{t('recordings/nothing')}</Blank>;
  return (
    <table className="table">
      <thead>
        <tr>
          <th className="w-stamp">{t('search/time')}</th>
          <th className="w-host">{t('alerts/host')}</th>
          <th>{t('detections/col/name')}</th>
          <th className="w-layer recording__wide">{t('detections/col/layer')}</th>
          <th className="w-process">{t('search/process')}</th>
        </tr>
      </thead>
      <tbody>
        {steps.map((one, index) => (
          <tr key={index} data-step={one.detection}>
            <td><Stamp time={one.time} /></td>
            <td><Val field="device.hostname" value={one.host} /></td>
            <td title={one.title}>
              <SeverityMark level={one.level} /> {same(one, stopped) && <span className="chip gap">{t('recordings/stoppedHere')}</span>}
              <Link to="/detections/$id" params={{ id: one.detection }}><SafeText text={one.title} /></Link>
            </td>
            <td className="recording__wide">{t(`layer/${one.layer}`)}</td>
            <td><Val field="process.cmd_line" value={one.process?.command_line ?? one.process?.executable} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Detections({ items }: { items: ReportDetection[] }) {
  const { t, i18n } = useTranslation();
  if (items.length === 0) return <Blank>{t('recordings/nothing')}</Blank>;
  return (
    <table className="table">
      <thead>
        <tr>
          <th>{t('detections/col/name')}</th>
          <th className="w-layer">{t('detections/col/layer')}</th>
          <th className="w-techs recording__wide">{t('detections/col/techniques')}</th>
          <th className="w-num num">{t('techniques/count')}</th>
          <th className="w-num num">{t('techniques/hosts')}</th>
          <th className="w-stamp">{t('alert/first')}</th>
          <th className="w-status">{t('recordings/stops')}</th>
        </tr>
      </thead>
      <tbody>
        {items.map((one) => (
          <tr key={one.id}>
            <td title={one.title}><SeverityMark level={one.level} /> <Link to="/detections/$id" params={{ id: one.id }}><SafeText text={one.title} /></Link></td>
            <td>{t(`layer/${one.layer}`)}</td>
            <td className="mono recording__wide" title={one.techniques.join(' ')}>{one.techniques.join(' ')}</td>
            <td className="num">{count(one.count, i18n.language)}</td>
            <td className="num">{count(one.hosts, i18n.language)}</td>
            <td><Stamp time={one.first} /></td>
            <td>{one.stops ? t(`recordings/stopsIs/${one.stops}`) : <span className="muted">–</span>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Layers({ report }: { report: Report }) {
  const { t, i18n } = useTranslation();
  return (
    <table className="table">
      <thead>
        <tr>
          <th className="w-layer">{t('detections/col/layer')}</th>
          <th className="w-conf num">{t('techniques/count')}</th>
          <th className="w-stamp">{t('recordings/firstTelling')}</th>
          <th>{t('detections/col/name')}</th>
        </tr>
      </thead>
      <tbody>
        {LAYERS.map((name) => {
          const layer = report.layers[name];
          return (
            <tr key={name}>
              <td>{t(`layer/${name}`)}</td>
              <td className="num">{count(layer?.count ?? 0, i18n.language)}</td>
              <td><Stamp time={layer?.first?.time} /></td>
              <td>{layer?.first ? <SafeText text={layer.first.title} /> : <span className="muted">–</span>}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
