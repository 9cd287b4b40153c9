// What indicators can be, and what they are kept for.
import type { IndicatorUse } from '../../api/types';
import type { ValueType } from '../../lib/defang';

export const KINDS = ['sha256', 'sha1', 'md5', 'ipv4', 'ipv6', 'cidr', 'domain', 'url', 'path', 'ja3', 'ja4', 'certificate', 'name', 'email'];
export const LISTS: IndicatorUse[] = ['block', 'watch', 'allow'];

const DAY_MS = 86_400_000;
/** How long an indicator holds, in days; 0: for ever. */
export const LASTS = [7, 30, 90, 365, 0];

export function expiry(days: number): string | undefined {
  return days === 0 ? undefined : new Date(Date.now() + days * DAY_MS).toISOString();
}

/** The canonical field whose values an indicator of `kind` stands for, for a search of the fleet. */
export function fieldOf(kind: string): string {
  const fields: Record<string, string> = { sha256: 'file.hash.sha256', ipv4: 'dst_endpoint.ip', ipv6: 'dst_endpoint.ip', domain: 'query.hostname', path: 'file.path' };
  return fields[kind] ?? 'keyword';
}

/** How its value is to be treated where it is shown. */
export function typeOfKind(kind: string): ValueType {
  if (kind.startsWith('ip')) return 'ip';
  if (kind === 'domain' || kind === 'url') return 'domain';
  if (kind === 'path') return 'path';
  return ['sha256', 'sha1', 'md5', 'certificate'].includes(kind) ? 'hash' : 'text';
}
