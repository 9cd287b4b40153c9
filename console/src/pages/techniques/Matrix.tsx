// The matrix: a column per tactic, a cell per technique. The tint says how much, the number how many, the
// line at the left that a detection in force covers it, the corner that nothing here can fire it.
import { useTranslation } from 'react-i18next';

import { Icon } from '../../components/icons';
import { count } from '../../lib/format';
import { heat, TACTICS } from '../../lib/matrix';
import type { Cell } from '../../lib/matrix';
import { useUrl } from '../../lib/url';
import type { Shown } from './Techniques';

interface Props {
  cells: Cell[];
  shown: Shown;
  open?: string;
  onPick: (id: string) => void;
}

const valueOf = (cell: Cell, shown: Shown) => (shown === 'coverage' ? cell.inForce.length : cell.hits);

export function Matrix({ cells, shown, open, onPick }: Props) {
  const { t, i18n } = useTranslation();
  const [url, change] = useUrl();
  const unfolded = new Set((url['unfold'] ?? '').split(',').filter(Boolean));
  const most = Math.max(1, ...cells.map((cell) => valueOf(cell, shown)));
  const fold = (id: string) => {
    const after = new Set(unfolded);
    if (!after.delete(id)) after.add(id);
    change({ unfold: [...after].join(',') || undefined }, 'replace');
  };
  const foldable = cells.filter((cell) => cell.subs.length > 0).map((cell) => cell.id);
  const allOpen = foldable.length > 0 && foldable.every((id) => unfolded.has(id));
  const columns = TACTICS.map((tactic) => ({ tactic, cells: cells.filter((cell) => cell.tactics.includes(tactic)) })).filter((column) => column.cells.length > 0);
  return (
    <section className="panel panel--grow" aria-label={t('techniques/matrix')}>
      <div className="matrix__bar">
        <Legend most={most} shown={shown} />
        <span className="spacer" />
        <button type="button" className="iconbtn iconbtn--line" onClick={() => change({ unfold: allOpen ? undefined : foldable.join(',') }, 'replace')}>{t(allOpen ? 'techniques/foldAll' : 'techniques/unfoldAll')}</button>
      </div>
      <div className="matrix" tabIndex={0} role="group" aria-label={t('techniques/matrix')}>
        {columns.map((column) => (
          <section className="matrix__column" key={column.tactic} aria-label={t(`tactic/${column.tactic}`)}>
            <h2>{t(`tactic/${column.tactic}`)}</h2>
            <p className="muted">{t('techniques/columnIs', { hit: count(column.cells.filter((cell) => cell.hits > 0).length, i18n.language), all: count(column.cells.length, i18n.language) })}</p>
            <ul>
              {column.cells.map((cell) => (
                <li key={cell.id}>
                  <div className="matrix__row">
                    <Square cell={cell} shown={shown} most={most} open={open} onPick={onPick} />
                    {cell.subs.length > 0 && (
                      <button type="button" className="matrix__fold" aria-expanded={unfolded.has(cell.id)} aria-label={t('techniques/subs', { id: cell.id, count: cell.subs.length })} title={t('techniques/subs', { id: cell.id, count: cell.subs.length })} onClick={() => fold(cell.id)}>
                        <Icon name={unfolded.has(cell.id) ? 'down' : 'right'} size={10} />
                      </button>
                    )}
                  </div>
                  {unfolded.has(cell.id) && (
                    <ul className="matrix__subs">
                      {cell.subs.map((sub) => <li key={sub.id}><Square cell={sub} shown={shown} most={most} open={open} onPick={onPick} /></li>)}
                    </ul>
                  )}
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
    </section>
  );
}

function Square({ cell, shown, most, open, onPick }: { cell: Cell; shown: Shown; most: number; open?: string; onPick: (id: string) => void }) {
  const { t, i18n } = useTranslation();
  const number = (value: number) => count(value, i18n.language);
  const says = [
    `${cell.id} ${cell.name}`,
    t('techniques/hitsAre', { count: cell.hits, hits: number(cell.hits) }),
    t('techniques/inForceAre', { count: cell.inForce.length, inForce: number(cell.inForce.length) }),
    ...(cell.cannot ? [`${t('techniques/cannot')}: ${cell.cannot}`] : []),
  ];
  return (
    <button
      type="button"
      className="square"
      data-technique={cell.id}
      data-heat={heat(valueOf(cell, shown), most)}
      data-covered={shown === 'hits' ? undefined : cell.inForce.length > 0 ? 'yes' : 'no'}
      data-cannot={shown !== 'hits' && cell.cannot ? 'yes' : undefined}
      aria-pressed={cell.id === open}
      title={says.join('\n')}
      onClick={() => onPick(cell.id)}
    >
      <span className="square__name">{cell.name === '' ? cell.id : cell.name}</span>
      <span className="sr-only">{says.slice(1).join(', ')}</span>
      <span className="square__count" aria-hidden="true">
        {shown === 'both' ? <>{cell.hits > 0 && <strong>{number(cell.hits)}</strong>}{cell.hits > 0 && ' · '}{number(cell.inForce.length)}</> : valueOf(cell, shown) > 0 && <strong>{number(valueOf(cell, shown))}</strong>}
      </span>
    </button>
  );
}

const STEPS = [0, 1, 2, 3, 4, 5];

function Legend({ most, shown }: { most: number; shown: Shown }) {
  const { t, i18n } = useTranslation();
  return (
    <p className="legend">
      <span>{t(shown === 'coverage' ? 'techniques/legendCoverage' : 'techniques/legendHits')}</span>
      <span className="muted">0</span>
      <span className="legend__scale" aria-hidden="true">{STEPS.map((step) => <span key={step} className="legend__step" data-heat={step} />)}</span>
      <span className="muted">{count(most, i18n.language)}</span>
      {shown !== 'hits' && (
        <>
          <span className="legend__mark legend__mark--covered" aria-hidden="true" /><span>{t('techniques/legendCovered')}</span>
          <span className="legend__mark legend__mark--cannot" aria-hidden="true" /><span>{t('techniques/cannot')}</span>
        </>
      )}
      {shown === 'both' && <span className="muted">{t('techniques/legendBoth')}</span>}
    </p>
  );
}
