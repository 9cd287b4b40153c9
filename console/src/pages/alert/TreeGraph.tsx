// The process tree as a graph, left to right: for following who started whom at a glance. The
// outline says the same to the keyboard and to screen readers.
import '@xyflow/react/dist/base.css';

import { Background, Controls, Handle, Position, ReactFlow, ReactFlowProvider, useReactFlow } from '@xyflow/react';
import type { Edge, Node, NodeProps } from '@xyflow/react';
import { useEffect, useMemo } from 'react';
import { useTranslation } from 'react-i18next';

import type { TreeNode } from '../../api/types';
import { SeverityMark } from '../../components/Severity';
import { SafeText } from '../../components/Val';
import { baseName } from '../../lib/format';
import { worst } from '../../lib/level';
import { ofProcess } from '../../lib/selection';
import { ancestors } from '../../lib/tree';
import type { Forest } from '../../lib/tree';

/** More nodes than this make React Flow slow; the outline shows them all. */
const NODES_MAX = 500;
/** Children brought into view with the process in focus. */
const NEAR_MAX = 6;
const NODE_WIDTH = 200;
const NODE_HEIGHT = 44;
const GAP_X = 56;
const GAP_Y = 12;

interface Datum extends Record<string, unknown> {
  process: TreeNode;
  children: number;
  lit: 'chosen' | 'path' | 'no';
}
type ProcessNode = Node<Datum, 'process'>;
/** Nodes and edges; a process stands level with its first child, so that a long row of children
 * begins beside its parent and not far above it. */
function place(forest: Forest, focus: string | undefined): { nodes: ProcessNode[]; edges: Edge[] } {
  const path = new Set(focus ? ancestors(forest, focus) : []);
  const nodes: ProcessNode[] = [];
  const edges: Edge[] = [];
  let row = 0;
  const visit = (process: TreeNode, depth: number, parent: string | undefined) => {
    const lit = process.uid === focus ? 'chosen' : path.has(process.uid) ? 'path' : 'no';
    const children = forest.children.get(process.uid) ?? [];
    nodes.push({
      id: process.uid,
      type: 'process',
      position: { x: depth * (NODE_WIDTH + GAP_X), y: row * (NODE_HEIGHT + GAP_Y) },
      data: { process, children: children.length, lit },
      width: NODE_WIDTH,
      height: NODE_HEIGHT,
    });
    if (parent) {
      edges.push({
        id: `${parent}>${process.uid}`,
        source: parent,
        target: process.uid,
        type: 'smoothstep',
        className: lit === 'no' ? 'edge' : 'edge edge--lit',
        focusable: false,
      });
    }
    const first = row;
    for (const child of children) {
      if (nodes.length < NODES_MAX) visit(child, depth + 1, process.uid);
    }
    if (row === first) row += 1;
  };
  for (const root of forest.roots) {
    if (nodes.length < NODES_MAX) visit(root, 0, undefined);
  }
  return { nodes, edges };
}

function ProcessBox({ data }: NodeProps<ProcessNode>) {
  const { t } = useTranslation();
  const { process } = data;
  const level = worst(process.hits.map((hit) => hit.level));
  return (
    <div className="gnode" data-lit={data.lit} data-level={level}>
      <Handle type="target" position={Position.Left} isConnectable={false} />
      <span className="row">
        {level && <SeverityMark level={level} />}
        <strong className="ellipsis"><SafeText text={process.name ?? baseName(process.exe)} /></strong>
        <span className="muted">{process.pid}</span>
        <span className="spacer" />
        {process.hits.length > 0 && <span className="chip">{t('process/hitCount', { count: process.hits.length })}</span>}
      </span>
      <span className="mono ellipsis gnode__cmd"><SafeText text={process.cmd_line ?? process.exe ?? ''} /></span>
      <Handle type="source" position={Position.Right} isConnectable={false} />
    </div>
  );
}

const TYPES = { process: ProcessBox };

interface Props {
  forest: Forest;
  focus: string | undefined;
  onSelect: (sel: string | undefined) => void;
}

/** What the first look shows at a size one can read: the process in focus, else the first that was
 * hit, else the first of all, with its parent and some children. */
function near(forest: Forest, focus: string | undefined): { id: string }[] {
  const all = [...forest.byUid.values()];
  const node = (focus ? forest.byUid.get(focus) : undefined) ?? all.find((one) => one.hits.length > 0) ?? all[0];
  if (!node) return [];
  const kids = (forest.children.get(node.uid) ?? []).slice(0, NEAR_MAX).map((one) => one.uid);
  const ids = new Set([node.uid, node.parent_uid ?? node.uid, ...kids]);
  return [...ids].filter((id) => forest.byUid.has(id)).map((id) => ({ id }));
}

function Graph({ forest, focus, onSelect }: Props) {
  const { nodes, edges } = useMemo(() => place(forest, focus), [forest, focus]);
  const flow = useReactFlow();
  const view = useMemo(() => ({ nodes: near(forest, focus), maxZoom: 1, minZoom: 0.6 }), [forest, focus]);
  useEffect(() => {
    if (focus && forest.byUid.has(focus)) void flow.fitView({ ...view, duration: 120 });
  }, [flow, focus, forest, view]);
  return (
    <ReactFlow
      nodes={nodes}
      edges={edges}
      nodeTypes={TYPES}
      onNodeClick={(_, node) => onSelect(ofProcess(node.id))}
      nodesDraggable={false}
      nodesConnectable={false}
      nodesFocusable={false}
      minZoom={0.2}
      maxZoom={1.5}
      fitView
      fitViewOptions={view}
      proOptions={{ hideAttribution: true }}
    >
      <Background gap={20} />
      <Controls showInteractive={false} />
    </ReactFlow>
  );
}

export default function TreeGraph(props: Props) {
  const { t } = useTranslation();
  const more = props.forest.byUid.size - NODES_MAX;
  return (
    <div className="graph">
      {more > 0 && <p className="warn">{t('alert/truncated')}</p>}
      <ReactFlowProvider><Graph {...props} /></ReactFlowProvider>
    </div>
  );
}
