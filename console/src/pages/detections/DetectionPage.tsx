// One detection: what it says and means, what it found, what it costs, how it is tuned, what it would
// have found.
import { Button } from '@mantine/core';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useDeleteDetection, useDetection } from '../../api/detections';
import type { DetectionDetail } from '../../api/types';
import { Confirm } from '../../components/Confirm';
import { Markdown } from '../../components/Markdown';
import { Blank, Ready } from '../../components/Panel';
import { Severity } from '../../components/Severity';
import { Tabs } from '../../components/Tabs';
import { toast } from '../../components/toast';
import { SafeText } from '../../components/Val';
import { useUrl } from '../../lib/url';
import { BacktestPanel } from './BacktestPanel';
import { DocumentView } from './DocumentView';
import { Figures } from './Figures';
import { TuneDialog } from './TuneDialog';
import { TuningTable } from './TuningTable';

export function DetectionPage() {
  const { id } = useParams({ strict: false });
  const answer = useDetection(id);
  return (
    <div className="page page--fill">
      <Ready answer={answer}>{(one) => <Body key={one.id} one={one} />}</Ready>
    </div>
  );
}

/** The guide without its title, which stands above it already. */
const untitled = (page: string) => page.replace(/^\s*#\s.*\n/u, '');

const TABS = ['page', 'document', 'tests', 'tuning', 'backtest'] as const;

function Body({ one }: { one: DetectionDetail }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const [tuning, setTuning] = useState<'open' | 'closed'>('closed');
  const view = url['tab'] ?? 'page';
  return (
    <>
      <Head one={one} onTune={() => setTuning('open')} />
      <div className="detection">
        <section className="panel detection__main">
          <Tabs
            label={t('detections/views')}
            active={view}
            onPick={(tab) => change({ tab: tab === 'page' ? undefined : tab }, 'replace')}
            tabs={TABS.map((key) => ({
              key,
              label: t(`detections/tab/${key}`),
              count: key === 'tests' ? one.tests.length : key === 'tuning' ? one.tuning.length : undefined,
            }))}
          >
            {view === 'page' && (one.page ? <Markdown source={untitled(one.page)} rank="h2" /> : <Blank>{t('alert/noPage')}</Blank>)}
            {view === 'document' && <DocumentView one={one} />}
            {view === 'tests' && <Tests one={one} />}
            {view === 'tuning' && <TuningTable one={one} onTune={() => setTuning('open')} />}
            {view === 'backtest' && <BacktestPanel subject={{ id: one.id }} />}
          </Tabs>
        </section>
        <Figures one={one} />
      </div>
      <TuneDialog one={one} state={tuning} onClose={() => setTuning('closed')} />
    </>
  );
}

function Head({ one, onTune }: { one: DetectionDetail; onTune: () => void }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const remove = useDeleteDetection();
  const [asking, setAsking] = useState<'open' | 'closed'>('closed');
  const gone = () =>
    remove.mutate(one.id, {
      onSuccess: () => {
        toast(t('detections/deleted'));
        void navigate({ to: '/detections' });
      },
    });
  return (
    <header className="panel alerthead">
      <div className="alerthead__line">
        <h1 className="ellipsis"><SafeText text={one.title} /></h1>
        <Severity level={one.level_in_force} />
        <span className="chip">{t(`layer/${one.layer}`)}</span>
        <span className="chip">{t(`detections/origin/${one.origin}`)}</span>
        {!one.enabled && <span className="chip chip--off">{t('detections/state/off')}</span>}
        {one.stats.noisy && <span className="chip chip--warn">{t('detections/state/noisy')}</span>}
        <span className="spacer" />
        <Button variant="default" onClick={onTune}>{t('tuning/open')}</Button>
        <Button variant="default" onClick={() => void navigate({ to: '/exceptions', search: { make: 'yes', detection: one.id } as never })}>{t('val/except')}</Button>
        <Button variant="default" onClick={() => void navigate({ to: '/detections/new', search: { from: one.id } as never })}>{t('editor/copy')}</Button>
        {one.origin !== 'shipped' && <Button variant="default" onClick={() => setAsking('open')}>{t('detections/delete')}</Button>}
      </div>
      <div className="alerthead__facts muted">
        <Link to="/detections">{t('detections/title')}</Link>
        <span className="mono"><SafeText text={one.path} /></span>
        {one.author && <span>{t('detections/author')} <SafeText text={one.author} /></span>}
        {one.licence && <span>{t('detections/licence')} <SafeText text={one.licence} /></span>}
        {one.level !== one.level_in_force && <span>{t('detections/levelWas', { level: t(`level/${one.level}`) })}</span>}
        <span className="row">
          {one.techniques.map((id) => <Link key={id} className="chip mono" to="/techniques" search={{ open: id } as never}>{id}</Link>)}
        </span>
        <span>{one.tactics.map((tactic) => t([`tactic/${tactic}`, tactic])).join(', ')}</span>
      </div>
      <Confirm
        state={asking}
        title={t('detections/delete')}
        text={t('detections/deleteAsk')}
        confirm={t('detections/deleteDo')}
        busy={remove.isPending ? 'yes' : 'no'}
        problem={remove.error}
        onClose={() => setAsking('closed')}
        onConfirm={gone}
      />
    </header>
  );
}

function Tests({ one }: { one: DetectionDetail }) {
  const { t } = useTranslation();
  if (one.tests.length === 0) return <Blank>{t('detections/testsEmpty')}</Blank>;
  return (
    <table className="table">
      <thead><tr><th className="w-level">{t('detections/testKind')}</th><th>{t('detections/testName')}</th></tr></thead>
      <tbody>
        {one.tests.map((test) => (
          <tr key={`${test.kind} ${test.name}`}>
            <td>{t(`detections/test/${test.kind}`)}</td>
            <td className="mono"><SafeText text={test.name} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
