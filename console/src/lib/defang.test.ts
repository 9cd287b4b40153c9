import { expect, test } from 'vitest';

import { defang, isDefangable } from './defang';
import type { ValueType } from './defang';

test.each<[ValueType, string, string]>([
  ['ip', '203.0.113.9', '203[.]0[.]113[.]9'],
  ['ip', '2001:db8::1', '2001[:]db8[:][:]1'],
  ['domain', 'a.example.net', 'a[.]example[.]net'],
  ['cmdline', 'curl http://a.example.net:8080/x.tgz', 'curl hxxp[://]a[.]example[.]net:8080/x.tgz'],
  ['cmdline', 'ping 192.0.2.7 -c 1', 'ping 192[.]0[.]2[.]7 -c 1'],
  ['cmdline', 'wget HTTPS://b.example/', 'wget HxxPS[://]b[.]example/'],
  ['hash', 'ab12', 'ab12'],
  ['path', '/etc/cron.d/x', '/etc/cron.d/x'],
])('%s %s', (type, value, wanted) => {
  expect(defang(type, value)).toBe(wanted);
  expect(isDefangable(type, value)).toBe(value !== wanted);
});
