// One recorded incident: what detection said when, the first step it would have stopped, and what it is
// worth knowing of the recording itself.
import { Button, NativeSelect } from '@mantine/core';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useSession } from '../../api/hooks';
import { reportOf, useDeleteRecording, useDetectRecording, useRecording } from '../../api/recordings';
import type { Recording, RecordingSlice } from '../../api/types';
import { Confirm } from '../../components/Confirm';
import { Meter } from '../../components/Meter';
import { Ready } from '../../components/Panel';
import { Stamp } from '../../components/Time';
import { toast } from '../../components/toast';
import { SafeText, Val } from '../../components/Val';
import { count } from '../../lib/format';
import { told } from '../../lib/told';
import { Course } from './Course';

export function RecordingPage() {
  const { id } = useParams({ strict: false });
  const answer = useRecording(id);
  return (
    <div className="page page--fill">
      <Ready answer={answer}>{(one) => <Body key={one.id} one={one} />}</Ready>
    </div>
  );
}

function Body({ one }: { one: Recording }) {
  const report = reportOf(one);
  const { data: session } = useSession();
  const admin = session?.user.role === 'admin';
  return (
    <>
      <Head one={one} may={admin ? 'change' : 'look'} />
      {report ? <Course report={report} /> : <Undetected one={one} may={admin ? 'change' : 'look'} />}
    </>
  );
}

interface Props {
  one: Recording;
  may: 'change' | 'look';
}

function Head({ one, may }: Props) {
  const { t, i18n } = useTranslation();
  const navigate = useNavigate();
  const remove = useDeleteRecording();
  const [asking, setAsking] = useState<'open' | 'closed'>('closed');
  const report = reportOf(one);
  const host = one.hosts[0]?.host;
  const gone = () =>
    remove.mutate(one.id, {
      onSuccess: () => {
        toast(t('recordings/deleted'));
        void navigate({ to: '/recordings' });
      },
    });
  return (
    <header className="panel alerthead">
      <div className="alerthead__line">
        <h1 className="ellipsis"><SafeText text={one.name} /></h1>
        <span className="chip">{t([`recordings/stateIs/${one.state}`, one.state])}</span>
        <span className="spacer" />
        {report && host && <Link className="iconbtn iconbtn--line" to="/alerts" search={{ view: 'incidents', host } as never}>{t('recordings/incident')}</Link>}
        {may === 'change' && <Button variant="default" onClick={() => setAsking('open')}>{t('recordings/delete')}</Button>}
      </div>
      <div className="alerthead__facts muted">
        <Link to="/recordings">{t('recordings/title')}</Link>
        <span>{t('recordings/eventsAre', { count: one.events, number: count(one.events, i18n.language) })}</span>
        <span>{t('recordings/created')} <Stamp time={one.created} /> · <SafeText text={one.actor} /></span>
        <span className="row wrap">{one.hosts.map((each) => <Val key={each.endpoint} field="device.hostname" value={each.host} endpoint={each.endpoint} />)}</span>
        {report && report.out_of_order > 0 && <span>{t('recordings/disorder', { count: report.out_of_order, number: count(report.out_of_order, i18n.language) })}</span>}
      </div>
      <Confirm
        state={asking}
        title={t('recordings/delete')}
        text={t('recordings/deleteAsk')}
        confirm={t('recordings/deleteDo')}
        busy={remove.isPending ? 'yes' : 'no'}
        problem={remove.error}
        onClose={() => setAsking('closed')}
        onConfirm={gone}
      />
    </header>
  );
}

const LEVELS = ['', 'medium', 'high', 'critical'];

/** Detection has not been over it: how to let it, and how far it got. */
function Undetected({ one, may }: Props) {
  const { t, i18n } = useTranslation();
  const detect = useDetectRecording();
  const [stopAt, setStopAt] = useState('');
  const [slice, setSlice] = useState<RecordingSlice>();
  const number = (value: number) => count(value, i18n.language);
  return (
    <section className="panel panel--grow">
      <div className="blank">
        <p>{t(may === 'change' ? 'recordings/undetected' : 'recordings/undetectedLook')}</p>
        {may === 'change' && (
          <div className="row wrap recording__detect">
            <NativeSelect
              aria-label={t('recordings/stopAt')}
              value={stopAt}
              onChange={(event) => setStopAt(event.currentTarget.value)}
              data={LEVELS.map((value) => ({ value, label: value === '' ? t('recordings/stopNever') : t('recordings/stopFrom', { level: t(`level/${value}`) }) }))}
            />
            <Button disabled={one.events === 0} loading={detect.isPending} onClick={() => detect.mutate({ id: one.id, stopAt, onSlice: setSlice })}>{t('recordings/detect')}</Button>
          </div>
        )}
        {slice && detect.isPending && (
          <div role="status">
            <p>{t('recordings/seen', { events: number(slice.events), total: number(slice.total) })}</p>
            <Meter value={slice.events} max={slice.total} />
          </div>
        )}
        {detect.error && <p className="failed" role="alert">{told(detect.error)}</p>}
      </div>
    </section>
  );
}
