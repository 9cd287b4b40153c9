// The process tree as an outline: the keyboard's and the screen reader's way through it, and the
// densest way for the eye. Arrows move, left and right close and open, Enter selects.
import { useEffect, useMemo, useRef, useState } from 'react';
import type { KeyboardEvent } from 'react';
import { useTranslation } from 'react-i18next';

import type { TreeNode } from '../../api/types';
import { Icon } from '../../components/icons';
import { SeverityMark } from '../../components/Severity';
import { Stamp } from '../../components/Time';
import { SafeText } from '../../components/Val';
import { useFollowing } from '../../lib/following';
import { baseName } from '../../lib/format';
import { worst } from '../../lib/level';
import { ofProcess } from '../../lib/selection';
import { ancestors, rows } from '../../lib/tree';
import type { Forest, Row } from '../../lib/tree';

interface Props {
  forest: Forest;
  focus: string | undefined;
  onSelect: (sel: string | undefined) => void;
}

/** Rows drawn at most; beyond them the tree is folded by hand or in Search. */
const ROWS_MAX = 2000;

export function TreeOutline({ forest, focus, onSelect }: Props) {
  const { t } = useTranslation();
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const box = useRef<HTMLDivElement>(null);
  const open = useMemo(() => {
    if (!focus) return closed;
    const above = new Set(ancestors(forest, focus));
    return new Set([...closed].filter((uid) => !above.has(uid)));
  }, [closed, forest, focus]);
  const list = useMemo(() => rows(forest, open).slice(0, ROWS_MAX), [forest, open]);
  const [at, setAt] = useFollowing(focus);
  const active = list.find((row) => row.node.uid === at) ?? list[0];
  useEffect(() => {
    box.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' });
  }, [focus]);
  const toggle = (uid: string) => {
    const next = new Set(open);
    if (!next.delete(uid)) next.add(uid);
    setClosed(next);
  };
  const focusRow = (row: Row | undefined) => {
    if (!row) return;
    setAt(row.node.uid);
    box.current?.querySelector<HTMLElement>(`[data-uid="${CSS.escape(row.node.uid)}"]`)?.focus();
  };
  const keys = (event: KeyboardEvent<HTMLDivElement>) => {
    const index = active ? list.indexOf(active) : -1;
    if (!active) return;
    const actions: Record<string, () => void> = {
      ArrowDown: () => focusRow(list[index + 1]),
      ArrowUp: () => focusRow(list[index - 1]),
      Home: () => focusRow(list[0]),
      End: () => focusRow(list[list.length - 1]),
      ArrowRight: () => (active.open === 'closed' ? toggle(active.node.uid) : focusRow(list[index + 1])),
      ArrowLeft: () =>
        active.open === 'open'
          ? toggle(active.node.uid)
          : focusRow(list.find((row) => row.node.uid === active.node.parent_uid)),
      Enter: () => onSelect(ofProcess(active.node.uid)),
      ' ': () => onSelect(ofProcess(active.node.uid)),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  };
  return (
    <div className="outline" role="tree" aria-label={t('alert/tree')} ref={box} onKeyDown={keys}
      onFocus={(event) => setAt(event.target.dataset['uid'])}>
      {list.map((row) => (
        <OutlineRow
          key={row.node.uid}
          row={row}
          selected={row.node.uid === focus ? 'yes' : 'no'}
          tabbable={row === active ? 'yes' : 'no'}
          onToggle={() => toggle(row.node.uid)}
          onSelect={() => onSelect(row.node.uid === focus ? undefined : ofProcess(row.node.uid))}
        />
      ))}
    </div>
  );
}

interface RowProps {
  row: Row;
  selected: 'yes' | 'no';
  tabbable: 'yes' | 'no';
  onToggle: () => void;
  onSelect: () => void;
}

/** Deeper levels are drawn at this depth, so that a hostile chain cannot push the text out. */
const DEPTH_SHOWN = 14;
const INDENT_PX = 16;

function OutlineRow({ row, selected, tabbable, onToggle, onSelect }: RowProps) {
  const { node, depth, open } = row;
  return (
    <div
      role="treeitem"
      aria-level={depth + 1}
      aria-posinset={row.position}
      aria-setsize={row.siblings}
      aria-expanded={open === 'leaf' ? undefined : open === 'open'}
      aria-selected={selected === 'yes'}
      tabIndex={tabbable === 'yes' ? 0 : -1}
      data-uid={node.uid}
      className="outline__row"
      onClick={onSelect}
    >
      <span className="outline__indent" style={{ width: Math.min(depth, DEPTH_SHOWN) * INDENT_PX }} />
      <span
        className="outline__fold"
        aria-hidden="true"
        onClick={(event) => {
          if (open === 'leaf') return;
          event.stopPropagation();
          onToggle();
        }}
      >
        {open !== 'leaf' && <Icon name={open === 'open' ? 'down' : 'right'} size={12} />}
      </span>
      <Name node={node} />
      <span className="outline__cmd mono ellipsis"><SafeText text={node.cmd_line ?? node.exe ?? ''} /></span>
      <Counters node={node} />
      <span className="outline__time muted"><Stamp time={node.start} form="clock" /></span>
    </div>
  );
}

function Name({ node }: { node: TreeNode }) {
  const { t } = useTranslation();
  const level = worst(node.hits.map((hit) => hit.level));
  return (
    <span className="outline__name">
      {level ? <SeverityMark level={level} /> : <span className="outline__dot" aria-hidden="true" />}
      <strong><SafeText text={node.name ?? (baseName(node.exe) || '?')} /></strong>
      <span className="muted">{node.pid}</span>
      {node.hits.length > 0 && (
        <span className="chip" title={node.hits.map((hit) => hit.title).join('\n')}>
          {t('process/hitCount', { count: node.hits.length })}
        </span>
      )}
      {node.in_scope === false && <span className="muted">({t('process/outside')})</span>}
    </span>
  );
}

function Counters({ node }: { node: TreeNode }) {
  const { t } = useTranslation();
  const shown = [
    ['file', node.counts.file, t('process/files')],
    ['network', node.counts.network, t('process/network')],
    ['dns', node.counts.dns, t('process/dns')],
  ] as const;
  return (
    <span className="outline__counts muted">
      {shown.map(([icon, value, label]) =>
        value > 0 ? (
          <span key={icon} className="row" title={`${value} ${label}`}>
            <Icon name={icon} size={12} />
            {value}
            <span className="sr-only">{label}</span>
          </span>
        ) : null,
      )}
    </span>
  );
}
