// The techniques as rows.
import { useTranslation } from 'react-i18next';

import { Blank } from '../../components/Panel';
import { Severity } from '../../components/Severity';
import { Age } from '../../components/Time';
import { SafeText } from '../../components/Val';
import type { Cell } from '../../lib/matrix';

interface Props {
  cells: Cell[];
  open?: string;
  onPick: (id: string) => void;
}

export function TechniqueList({ cells, open, onPick }: Props) {
  const { t } = useTranslation();
  const shown = cells.flatMap((cell) => [cell, ...cell.subs]).filter((cell) => cell.row).sort((a, b) => (b.row?.count ?? 0) - (a.row?.count ?? 0));
  return (
    <section className="panel panel--grow" aria-label={t('techniques/title')}>
      {shown.length === 0 ? <Blank>{t('techniques/empty')}</Blank> : (
        <div className="panel__body--scroll" tabIndex={0} role="group" aria-label={t('techniques/title')}>
          <table className="table">
            <thead>
              <tr>
                <th className="w-tech">{t('techniques/id')}</th>
                <th>{t('techniques/name')}</th>
                <th className="w-techs">{t('techniques/tactic')}</th>
                <th className="w-level">{t('techniques/level')}</th>
                <th className="w-num num">{t('techniques/count')}</th>
                <th className="w-num num">{t('techniques/hosts')}</th>
                <th className="w-level num">{t('techniques/inForce')}</th>
                <th className="w-age">{t('techniques/last')}</th>
              </tr>
            </thead>
            <tbody>
              {shown.map((cell) => (
                <tr key={cell.id} data-link data-focus={cell.id === open} onClick={() => onPick(cell.id)}>
                  <td>
                    <button type="button" className="linklike mono" aria-pressed={cell.id === open} onClick={(event) => { event.stopPropagation(); onPick(cell.id); }}>{cell.id}</button>
                  </td>
                  <td><SafeText text={cell.name} /></td>
                  <td>{cell.tactics.map((name) => t([`tactic/${name}`, name])).join(', ')}</td>
                  <td>{cell.row && <Severity level={cell.row.level} />}</td>
                  <td className="num">{cell.row?.count}</td>
                  <td className="num">{cell.row?.endpoints}</td>
                  <td className="num">{cell.inForce.length}</td>
                  <td><Age time={cell.row?.last} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
