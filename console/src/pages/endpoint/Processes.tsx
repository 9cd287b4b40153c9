// The endpoint's latest processes; one that has no end can be dumped, scanned and terminated.
import { Button } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import type { Endpoint, EventRow } from '../../api/types';
import type { EvidenceTarget } from '../../components/EvidenceDialog';
import { Blank } from '../../components/Panel';
import type { TerminateTarget } from '../../components/TerminateDialog';
import { Stamp } from '../../components/Time';
import { Val } from '../../components/Val';

interface Props {
  endpoint: Endpoint;
  events: EventRow[];
  onTerminate: (target: TerminateTarget) => void;
  onAsk: (target: EvidenceTarget) => void;
}

const text = (event: EventRow, field: string): string | undefined => {
  const value = event.fields[field];
  return value === undefined || value === null ? undefined : String(value);
};

/** The newest exec of each process, and whether its exit is among the events. */
export function latest(events: EventRow[]): { event: EventRow; uid: string; ended: string | undefined }[] {
  const ended = new Map<string, string>();
  const shown = new Map<string, EventRow>();
  for (const event of events) {
    const uid = text(event, 'process.uid');
    if (!uid) continue;
    if (event.class === 'process.exit') ended.set(uid, event.time);
    else if (event.time > (shown.get(uid)?.time ?? '')) shown.set(uid, event);
  }
  return [...shown]
    .map(([uid, event]) => ({ event, uid, ended: ended.get(uid) }))
    .sort((a, b) => b.event.time.localeCompare(a.event.time));
}

function brief(event: EventRow, uid: string): EvidenceTarget['process'] {
  const pid = Number(text(event, 'process.pid'));
  const name = text(event, 'process.name');
  return { uid, ...(Number.isFinite(pid) ? { pid } : {}), ...(name ? { name } : {}) };
}

export function Processes({ endpoint, events, onTerminate, onAsk }: Props) {
  const { t } = useTranslation();
  const list = latest(events);
  if (list.length === 0) return <Blank>{t('endpoint/processesEmpty')}</Blank>;
  return (
    <table className="table">
      <thead>
        <tr>
          <th className="w-time">{t('process/start')}</th>
          <th className="w-num num">{t('process/pid')}</th>
          <th className="w-host">{t('process/name')}</th>
          <th>{t('process/cmd')}</th>
          <th className="w-user">{t('process/user')}</th>
          <th className="w-time">{t('process/end')}</th>
          <th className="w-actions"><span className="sr-only">{t('response/terminate')}</span></th>
        </tr>
      </thead>
      <tbody>
        {list.map(({ event, uid, ended }) => (
          <tr key={uid}>
            <td><Stamp time={event.time} form="clock" /></td>
            <td className="num">{text(event, 'process.pid')}</td>
            <td><Val field="process.name" value={text(event, 'process.name')} /></td>
            <td><Val field="process.cmd_line" value={text(event, 'process.cmd_line') ?? text(event, 'process.file.path')} /></td>
            <td><Val field="process.user.name" value={text(event, 'process.user.name')} /></td>
            <td>{ended ? <Stamp time={ended} form="clock" /> : <span className="muted">–</span>}</td>
            <td className="actions">
              {!ended &&
                (['dump', 'scan'] as const).map((verb) => (
                  <Button key={verb} size="compact-xs" variant="default" onClick={() => onAsk({ verb, endpoint, process: brief(event, uid) })}>
                    {t(`evidence/short/${verb}`)}
                  </Button>
                ))}
              {!ended && (
                <Button
                  size="compact-xs"
                  variant="default"
                  onClick={() =>
                    onTerminate({
                      endpoint: endpoint.id,
                      host: endpoint.host,
                      status: endpoint.status,
                      process: {
                        uid,
                        pid: Number(text(event, 'process.pid')),
                        name: text(event, 'process.name'),
                        cmd_line: text(event, 'process.cmd_line'),
                        user: text(event, 'process.user.name'),
                        start: event.time,
                      },
                    })
                  }
                >
                  {t('response/terminate')}
                </Button>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
