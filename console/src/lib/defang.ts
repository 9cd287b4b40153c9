// Makes addresses harmless to paste: nothing turns them into a link by itself.

export type ValueType =
  | 'text'
  | 'hash'
  | 'path'
  | 'ip'
  | 'domain'
  | 'user'
  | 'host'
  | 'process'
  | 'cmdline'
  | 'number'
  | 'class'
  | 'technique';

const SCHEME = /\b(https?|ftps?|wss?):\/\//giu;
const IPV4 = /\b(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\b/gu;

function scheme(text: string): string {
  return text.replace(SCHEME, (found) => found.replace(/t/giu, 'x').replace('://', '[://]'));
}

/** `value` with schemes, dots and colons of addresses broken up. Paths and hashes stay. */
export function defang(type: ValueType, value: string): string {
  switch (type) {
    case 'ip':
      return value.includes(':') ? value.replaceAll(':', '[:]') : value.replaceAll('.', '[.]');
    case 'domain':
    case 'host':
      return scheme(value).replaceAll('.', '[.]');
    case 'cmdline':
    case 'text':
      return scheme(value)
        .replace(/(\[:\/\/\])([^\s/:"']+)/gu, (_, sep: string, host: string) =>
          sep + host.replaceAll('.', '[.]'),
        )
        .replace(IPV4, '$1[.]$2[.]$3[.]$4');
    default:
      return value;
  }
}

/** Whether defanging `value` says anything else than `value`. */
export function isDefangable(type: ValueType, value: string): boolean {
  return defang(type, value) !== value;
}
