// What is on the endpoint's host, kind by kind, and how far it was looked at.
import { Checkbox, NativeSelect, TextInput } from '@mantine/core';
import { useTranslation } from 'react-i18next';

import { useInventory } from '../../api/hooks';
import type { Endpoint, InventoryItem, InventorySurvey } from '../../api/types';
import { Blank, More, Ready } from '../../components/Panel';
import { Stamp } from '../../components/Time';
import { SafeText, Val } from '../../components/Val';
import type { ValueType } from '../../lib/defang';
import { stamp } from '../../lib/time';
import { usePrefs } from '../../lib/prefs';
import { useUrl } from '../../lib/url';

interface Column {
  /** Name of the item's field. */
  name: string;
  /** Its heading, where it is not the field's name. */
  label?: string;
  /** What a search over the fleet would ask for; plain text without. */
  field?: string;
  type?: ValueType;
}

const KINDS: Record<string, Column[]> = {
  executable: [
    { name: 'path', field: 'file.path' },
    { name: 'sha256', field: 'file.hash.sha256' },
    { name: 'package' },
    { name: 'integrity' },
    { name: 'modified' },
  ],
  package: [{ name: 'name' }, { name: 'version' }, { name: 'arch' }, { name: 'manager' }],
  user: [{ name: 'name', field: 'process.user.name' }, { name: 'uid' }, { name: 'shell' }, { name: 'password' }, { name: 'groups' }],
  service: [
    { name: 'protocol' },
    { name: 'address' },
    { name: 'port' },
    { name: 'process' },
    { name: 'exe', field: 'process.file.path' },
    { name: 'sha256', field: 'file.hash.sha256' },
    { name: 'package' },
  ],
  product: [{ name: 'name' }, { name: 'vendor' }, { name: 'category' }, { name: 'running' }, { name: 'evidence' }],
  holder: [{ name: 'interface' }, { name: 'by' }, { name: 'count' }],
  system: [
    { name: 'name' },
    { name: 'support.ends', label: 'support' },
    { name: 'support.source', label: 'source' },
    { name: 'kernel' },
    { name: 'kernel_support.ends', label: 'kernelSupport' },
    { name: 'kernel_support.source', label: 'source' },
  ],
};

export function Inventory({ endpoint }: { endpoint: Endpoint }) {
  const { t } = useTranslation();
  const [url, change] = useUrl();
  const kind = url['kind'] && KINDS[url['kind']] ? url['kind'] : 'executable';
  const q = url['q'] ?? '';
  const gone = url['gone'] === 'true' ? 'true' : undefined;
  const answer = useInventory(endpoint.id, { kind, q, gone, limit: 200 });
  return (
    <>
      <div className="page__head">
        <NativeSelect
          aria-label={t('inventory/kind')}
          value={kind}
          onChange={(event) => change({ kind: event.currentTarget.value }, 'replace')}
          data={Object.keys(KINDS).map((value) => ({ value, label: t(`inventory/${value}`) }))}
        />
        <TextInput
          w={260}
          aria-label={t('inventory/find')}
          placeholder={t('inventory/find')}
          value={q}
          onChange={(event) => change({ q: event.currentTarget.value || undefined }, 'replace')}
        />
        <Checkbox
          label={t('inventory/gone')}
          checked={gone === 'true'}
          onChange={(event) => change({ gone: event.currentTarget.checked ? 'true' : undefined }, 'replace')}
        />
      </div>
      <Ready answer={answer}>
        {(data) => {
          const last = data.pages.at(-1);
          if (!last?.updated) return <Blank>{t('inventory/none')}</Blank>;
          const items = data.pages.flatMap((page) => page.items);
          return (
            <>
              {!last.complete && <p className="warn">{t('inventory/incomplete')}</p>}
              <SurveyNote survey={last.surveys.find((one) => one.kind === kind)} />
              {items.length === 0 ? <Blank>{t('inventory/empty')}</Blank> : <Items kind={kind} items={items} endpoint={endpoint} />}
              <More answer={answer} />
            </>
          );
        }}
      </Ready>
    </>
  );
}

function SurveyNote({ survey }: { survey: InventorySurvey | undefined }) {
  const { t } = useTranslation();
  const { zone } = usePrefs();
  if (!survey) return null;
  const parts = [survey.taken ? t('inventory/taken', { time: stamp(survey.taken, zone) }) : t('inventory/never')];
  if (survey.missing) parts.push(t('inventory/missing', { reason: survey.missing }));
  if (survey.places.length > 0) parts.push(t('inventory/places', { places: survey.places.join(', ') }));
  const left = survey.left_out.map((one) => `${one.count} ${one.reason} (${one.example})`).join(', ');
  if (left) parts.push(t('inventory/left', { left }));
  return <p className={left || survey.missing ? 'warn' : 'muted'}><SafeText text={parts.join(' · ')} /></p>;
}

function Items({ kind, items, endpoint }: { kind: string; items: InventoryItem[]; endpoint: Endpoint }) {
  const { t } = useTranslation();
  const columns = KINDS[kind] ?? [];
  return (
    <table className="table">
      <thead>
        <tr>
          {columns.map((column) => <th key={column.name}>{t(`inventory/col/${column.label ?? column.name}`)}</th>)}
          <th className="w-time">{t('inventory/wentAt')}</th>
        </tr>
      </thead>
      <tbody>
        {items.map((item) => (
          <tr key={item.key}>
            {columns.map((column) => (
              <td key={column.name}>
                <Cell column={column} value={item.fields[column.name]} endpoint={endpoint} />
              </td>
            ))}
            <td><Stamp time={item.gone} /></td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Cell({ column, value, endpoint }: { column: Column; value: InventoryItem['fields'][string] | undefined; endpoint: Endpoint }) {
  if (column.field) return <Val field={column.field} value={value} type={column.type} endpoint={endpoint.id} />;
  if (value === undefined || value === null || value === '') return <span className="muted">–</span>;
  if (column.name === 'modified') return <Stamp time={String(value)} />;
  return <SafeText text={String(value)} />;
}
