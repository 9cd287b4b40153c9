// One process: what it is, who ran it, how it ended, what struck on it, and what can be asked of it.
import { Button } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

import type { TreeNode } from '../api/types';
import { clause } from '../lib/query';
import type { EvidenceTarget } from './EvidenceDialog';
import { SeverityMark } from './Severity';
import { Stamp } from './Time';
import { SafeText, Val } from './Val';

interface Props {
  node: TreeNode;
  endpoint: string;
  onTerminate: () => void;
  onAsk: (ask: EvidenceAsk) => void;
}

/** What is asked of a process, before it is known of which endpoint. */
export type EvidenceAsk = Pick<EvidenceTarget, 'verb' | 'process' | 'path'>;

export function ProcessProfile({ node, endpoint, onTerminate, onAsk }: Props) {
  const { t } = useTranslation();
  return (
    <section>
      <h3>{t('search/process')}</h3>
      <dl className="facts">
        <dt>{t('process/name')}</dt>
        <dd><Val field="process.name" value={node.name} /> <span className="muted">{t('process/pid')} {node.pid}</span></dd>
        <dt>{t('process/cmd')}</dt>
        <dd><Val field="process.cmd_line" value={node.cmd_line} /></dd>
        <dt>{t('process/exe')}</dt>
        <dd><Val field="process.file.path" value={node.exe} /></dd>
        <dt>{t('process/sha256')}</dt>
        <dd><Val field="process.file.hash.sha256" value={node.sha256} /></dd>
        <dt>{t('process/user')}</dt>
        <dd><Val field="process.user.name" value={node.user} /></dd>
        <dt>{t('process/cwd')}</dt>
        <dd><Val field="process.working_directory" value={node.cwd} /></dd>
        <dt>{t('process/start')}</dt>
        <dd><Stamp time={node.start} /></dd>
        <dt>{t('process/end')}</dt>
        <dd>{node.end ? <Stamp time={node.end} /> : <span className="muted">{t('process/running')}</span>}</dd>
        {node.exit_code !== null && node.exit_code !== undefined && (
          <><dt>{t('process/exit')}</dt><dd>{node.exit_code}</dd></>
        )}
      </dl>
      {node.hits.length > 0 && (
        <>
          <h3>{t('process/hits')}</h3>
          <ul className="hits">
            {node.hits.map((hit, index) => (
              <li key={index}>
                <SeverityMark level={hit.level} /> <SafeText text={hit.title} /> <span className="mono muted">{hit.technique}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      <div className="side__tools stack">
        <Link to="/search" search={{ q: `${clause('process.uid', node.uid)} AND ${clause('device.uid', endpoint)}`, range: '7d' } as never}>
          {t('process/events')}
        </Link>
        <div className="row wrap">
          {asks(node).map((ask) => (
            <Button key={ask.verb} variant="default" size="compact-xs" onClick={() => onAsk(ask)}>
              {t(`evidence/short/${ask.verb}`)}
            </Button>
          ))}
          {!node.end && <Button variant="default" size="compact-xs" onClick={onTerminate}>{t('response/terminate')}</Button>}
        </div>
      </div>
    </section>
  );
}

/** Its memory while it runs; its executable also afterwards. */
function asks(node: TreeNode): (EvidenceAsk & { verb: 'dump' | 'scan' | 'collect' })[] {
  const process = { uid: node.uid, ...(node.pid ? { pid: node.pid } : {}), ...(node.name ? { name: node.name } : {}) };
  const memory = node.end ? [] : (['dump', 'scan'] as const).map((verb) => ({ verb, process }));
  return node.exe?.startsWith('/') ? [...memory, { verb: 'collect', path: node.exe }] : memory;
}
