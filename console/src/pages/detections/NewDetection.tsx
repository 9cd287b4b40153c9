// A new document of one's own, from nothing or from another one; it can be tried on the history before it
// is saved.
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useDetection } from '../../api/detections';
import { Ready } from '../../components/Panel';
import { Tabs } from '../../components/Tabs';
import { asOwn, freshId } from '../../lib/sigma';
import { useUrl } from '../../lib/url';
import { BacktestPanel } from './BacktestPanel';
import { DocumentForm } from './DocumentForm';

const blank = (id: string) => `title:
id: ${id}
status: experimental
description: >-

author:
tags:
  - attack.execution
  - attack.t1059.004
logsource:
  product: linux
  category: process_creation
detection:
  selection:
    Image|endswith: /
  condition: selection
level: low
`;

export function NewDetectionPage() {
  const [url] = useUrl();
  const from = url['from'];
  const source = useDetection(from);
  return (
    <div className="page page--fill">
      {from ? <Ready answer={source}>{(one) => <Writing key={one.id} source={one.document} />}</Ready> : <Writing />}
    </div>
  );
}

function Writing({ source }: { source?: string }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const [start] = useState(() => (source === undefined ? blank(freshId()) : asOwn(source, freshId(), t('editor/copySuffix'))));
  const [text, setText] = useState(start);
  const view = url['tab'] ?? 'document';
  return (
    <>
      <div className="page__head"><h1>{t('detections/newTitle')}</h1></div>
      <section className="panel panel--grow">
        <Tabs
          label={t('detections/views')}
          active={view}
          onPick={(tab) => change({ tab: tab === 'document' ? undefined : tab }, 'replace')}
          tabs={[{ key: 'document', label: t('detections/tab/document') }, { key: 'backtest', label: t('detections/tab/backtest') }]}
        >
          {view === 'backtest' ? <BacktestPanel subject={{ text }} /> : <DocumentForm start={text} onText={setText} />}
        </Tabs>
      </section>
    </>
  );
}
