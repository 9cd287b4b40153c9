// The process tree as the pages draw it: who is whose child, what is open, what is lit.
// Invariant: every node appears once, also when parents are missing or point at each other.
import type { TreeNode } from '../api/types';

export interface Forest {
  byUid: Map<string, TreeNode>;
  children: Map<string, TreeNode[]>;
  roots: TreeNode[];
}

export interface Row {
  node: TreeNode;
  depth: number;
  open: 'open' | 'closed' | 'leaf';
  /** Position among its siblings, from 1, and how many they are. */
  position: number;
  siblings: number;
}

function byStart(a: TreeNode, b: TreeNode): number {
  return (a.start ?? '').localeCompare(b.start ?? '') || (a.pid ?? 0) - (b.pid ?? 0);
}

/** Nodes that cannot be reached from any root: their parents form a ring. */
function unreachable(forest: Forest): TreeNode[] {
  const seen = new Set<string>();
  const stack = [...forest.roots];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node.uid)) continue;
    seen.add(node.uid);
    stack.push(...(forest.children.get(node.uid) ?? []));
  }
  return [...forest.byUid.values()].filter((node) => !seen.has(node.uid));
}

export function forestOf(nodes: TreeNode[]): Forest {
  const byUid = new Map(nodes.map((node) => [node.uid, node]));
  const children = new Map<string, TreeNode[]>();
  const roots: TreeNode[] = [];
  for (const node of byUid.values()) {
    const parent = node.parent_uid;
    if (!parent || parent === node.uid || !byUid.has(parent)) roots.push(node);
    else children.set(parent, [...(children.get(parent) ?? []), node]);
  }
  for (const list of children.values()) list.sort(byStart);
  const forest = { byUid, children, roots };
  const ring = unreachable(forest);
  const first = ring.sort(byStart)[0];
  if (first) {
    // Cut the ring at its earliest process; recursion ends because each cut reaches more nodes.
    return forestOf(nodes.map((n) => (n.uid === first.uid ? { ...n, parent_uid: null } : n)));
  }
  roots.sort(byStart);
  return forest;
}

/** The visible rows, depth first. */
export function rows(forest: Forest, closed: ReadonlySet<string>): Row[] {
  const out: Row[] = [];
  const walk = (list: TreeNode[], depth: number) => {
    list.forEach((node, index) => {
      const kids = forest.children.get(node.uid) ?? [];
      const open = kids.length === 0 ? 'leaf' : closed.has(node.uid) ? 'closed' : 'open';
      out.push({ node, depth, open, position: index + 1, siblings: list.length });
      if (open === 'open') walk(kids, depth + 1);
    });
  };
  walk(forest.roots, 0);
  return out;
}

/** `uid`'s ancestors, nearest first. */
export function ancestors(forest: Forest, uid: string): string[] {
  const out: string[] = [];
  let node = forest.byUid.get(uid);
  while (node?.parent_uid && forest.byUid.has(node.parent_uid) && !out.includes(node.parent_uid)) {
    out.push(node.parent_uid);
    node = forest.byUid.get(node.parent_uid);
  }
  return out;
}

/** How many processes stand below `uid`. */
export function descendants(forest: Forest, uid: string): number {
  const seen = new Set<string>([uid]);
  const stack = [...(forest.children.get(uid) ?? [])];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (seen.has(node.uid)) continue;
    seen.add(node.uid);
    stack.push(...(forest.children.get(node.uid) ?? []));
  }
  return seen.size - 1;
}
