import { expect, test } from 'vitest';

import type { EventRow } from '../api/types';
import { baseName, bytes, millis, objectOf, typeOf } from './format';

const row = (name: string, fields: EventRow['fields']): EventRow => ({ id: 'x', time: '', class: name, endpoint: 'e', host: null, fields });

test('what an activity was done to', () => {
  expect(objectOf(row('file.create', { 'file.path': '/a' }))).toEqual([{ field: 'file.path', value: '/a' }]);
  expect(objectOf(row('network.connect', { 'dst_endpoint.ip': '192.0.2.1', 'dst_endpoint.port': 443 }))).toEqual([
    { field: 'dst_endpoint.ip', value: '192.0.2.1' },
    { field: 'dst_endpoint.port', value: '443' },
  ]);
  expect(objectOf(row('network.listen', { 'src_endpoint.port': 22 }))).toEqual([{ field: 'src_endpoint.port', value: '22' }]);
  expect(objectOf(row('process.exec', { 'process.file.path': '/bin/true' }))).toEqual([{ field: 'process.file.path', value: '/bin/true' }]);
  expect(objectOf(row('something.new', {}))).toEqual([]);
});

test('numbers with their units', () => {
  expect([bytes(0), bytes(1023), bytes(1536), bytes(41_000_000), bytes(null)]).toEqual(['0 B', '1023 B', '1.5 KiB', '39 MiB', '–']);
  expect([millis(3), millis(-1830), millis(90_000)]).toEqual(['3 ms', '-1.8 s', '1.5 min']);
});

test('types of fields', () => {
  expect(['process.file.hash.sha256', 'dst_endpoint.ip', 'process.parent_process.cmd_line', 'process.parent_process.uid', 'file.path', 'class'].map(typeOf)).toEqual([
    'hash', 'ip', 'cmdline', 'process', 'path', 'class',
  ]);
  expect(baseName('/usr/bin/curl')).toBe('curl');
});
