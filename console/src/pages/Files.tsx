// Who in the fleet has a file, whether or not it ever ran; and for whom nobody can say.
import { Button, TextInput } from '@mantine/core';
import { Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';

import { useFiles } from '../api/hooks';
import type { FilePage, FleetFile, NotLookedAt } from '../api/types';
import { EvidenceDialog } from '../components/EvidenceDialog';
import type { EvidenceTarget } from '../components/EvidenceDialog';
import { Blank, Panel, Ready } from '../components/Panel';
import { Status } from '../components/Status';
import { Age, Stamp } from '../components/Time';
import { SafeText, Val } from '../components/Val';
import { useUrl } from '../lib/url';

const SHA256 = /^[0-9a-f]{64}$/i;

export function FilesPage() {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const q = (url['q'] ?? '').normalize('NFKC').trim();
  const is = SHA256.test(q) ? 'hash' : q.startsWith('/') || q.startsWith('*') ? 'path' : 'nothing';
  const query = is === 'hash' ? { sha256: q, limit: 1000 } : { path: q, limit: 1000 };
  const answer = useFiles(query, is === 'nothing' ? 'off' : 'on');
  return (
    <div className="page page--fill">
      <div className="page__head">
        <h1>{t('files/title')}</h1>
        <TextInput
          w={520}
          aria-label={t('files/find')}
          placeholder={t('files/find')}
          value={url['q'] ?? ''}
          onChange={(event) => change({ q: event.currentTarget.value }, 'replace')}
        />
      </div>
      {is === 'nothing' ? <Blank>{t('files/hint')}</Blank> : <Ready answer={answer}>{(data) => <Found data={data} />}</Ready>}
    </div>
  );
}

function Found({ data }: { data: FilePage }) {
  const { t } = useTranslation();
  const navigate = useNavigate();
  const [asked, setAsked] = useState<EvidenceTarget>();
  return (
    <div className="stack">
      <Panel title={t('files/summary', { looked: data.looked_at, endpoints: data.endpoints })} body="flush">
        {data.items.length === 0 ? <Blank>{t('files/empty')}</Blank> : <Where files={data.items} onAsk={setAsked} />}
      </Panel>
      {data.not_looked_at.length > 0 && (
        <Panel title={t('files/unlooked')} body="flush"><Unlooked endpoints={data.not_looked_at} /></Panel>
      )}
      <EvidenceDialog
        target={asked}
        onClose={() => setAsked(undefined)}
        onPlan={(plan) => {
          setAsked(undefined);
          void navigate({ to: '/endpoints/$id', params: { id: plan.endpoint }, search: { tab: 'evidence' } as never });
        }}
      />
    </div>
  );
}

function collect(file: FleetFile): EvidenceTarget {
  return { verb: 'collect', endpoint: { id: file.endpoint, host: file.host ?? file.endpoint, status: file.status }, path: file.path };
}

function Where({ files, onAsk }: { files: FleetFile[]; onAsk: (target: EvidenceTarget) => void }) {
  const { t } = useTranslation();
  return (
    <table className="table">
      <thead>
        <tr>
          <th className="w-host">{t('endpoints/host')}</th>
          <th className="w-status">{t('endpoints/status')}</th>
          <th className="w-age">{t('files/contact')}</th>
          <th>{t('inventory/col/path')}</th>
          <th>{t('inventory/col/sha256')}</th>
          <th className="w-user">{t('inventory/col/package')}</th>
          <th className="w-stamp">{t('files/first')}</th>
          <th className="w-time">{t('inventory/wentAt')}</th>
          <th className="w-action"><span className="sr-only">{t('evidence/collect')}</span></th>
        </tr>
      </thead>
      <tbody>
        {files.map((file) => (
          <tr key={`${file.endpoint} ${file.path}`}>
            <td><Link to="/endpoints/$id" params={{ id: file.endpoint }}><SafeText text={file.host ?? file.endpoint} /></Link></td>
            <td><Status state={file.status} /></td>
            <td><Age time={file.last_seen} /></td>
            <td><Val field="file.path" value={file.path} endpoint={file.endpoint} /></td>
            <td><Val field="file.hash.sha256" value={file.sha256} endpoint={file.endpoint} /></td>
            <td><SafeText text={file.package ?? '–'} /></td>
            <td><Stamp time={file.first_seen} /></td>
            <td><Stamp time={file.gone} /></td>
            <td>
              {!file.gone && (
                <Button size="compact-xs" variant="default" onClick={() => onAsk(collect(file))}>{t('evidence/short/collect')}</Button>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Unlooked({ endpoints }: { endpoints: NotLookedAt[] }) {
  const { t } = useTranslation();
  return (
    <table className="table table--wrap">
      <thead>
        <tr>
          <th className="w-host">{t('endpoints/host')}</th>
          <th className="w-status">{t('endpoints/status')}</th>
          <th className="w-age">{t('files/contact')}</th>
          <th>{t('files/why')}</th>
        </tr>
      </thead>
      <tbody>
        {endpoints.map((one) => (
          <tr key={one.endpoint}>
            <td><Link to="/endpoints/$id" params={{ id: one.endpoint }}><SafeText text={one.host} /></Link></td>
            <td><Status state={one.status} /></td>
            <td><Age time={one.last_seen} /></td>
            <td>{t([`files/reason/${one.reason}`, one.reason])} <span className="muted"><SafeText text={one.detail} /></span></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
