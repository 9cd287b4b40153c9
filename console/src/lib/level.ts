// Severity in order.
import type { Level } from '../api/types';

const ORDER: Level[] = ['informational', 'low', 'medium', 'high', 'critical'];

export function worst(levels: Level[]): Level | undefined {
  let top = -1;
  for (const level of levels) top = Math.max(top, ORDER.indexOf(level));
  return ORDER[top];
}
