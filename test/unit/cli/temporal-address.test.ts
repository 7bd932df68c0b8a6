import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { identify } from '../../../cli/dev/process-identity.ts';
import { temporalAddress } from '../../../cli/temporal-address.ts';
import { workflowUrl } from '../../../cli/temporal-client.ts';
import { parseConfig } from '../../../config/parse-config.ts';
import { KINDS, valid } from '../config/kinds.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'home-'));
});
afterEach(() => rmSync(home, { recursive: true }));

function place(temporal: object = {}) {
  const parsed = parseConfig({ ...valid(), temporal }, { file: 'f', home, kinds: KINDS });
  if (!parsed.ok) throw new Error(parsed.lines.join('\n'));
  return { config: parsed.config, home };
}

function running(pid: number): void {
  mkdirSync(home, { recursive: true });
  const launcher = identify(pid) ?? { pid, startedMark: 'gone' };
  const state = {
    version: 1,
    launcher,
    startedAt: '',
    processes: [],
    ports: { temporal: 7000 },
    urls: { ui: 'http://ui' },
  };
  writeFileSync(join(home, 'run.json'), JSON.stringify(state));
}

test('the environment decides alone', () => {
  running(process.pid);
  const found = temporalAddress(place({ address: 'config:1' }), {
    TEMPORAL_ADDRESS: 'env:2',
    TEMPORAL_NAMESPACE: 'crm',
  });
  expect(found).toMatchObject({ address: 'env:2', namespace: 'crm', from: 'TEMPORAL_ADDRESS' });
});

test('then the configuration', () => {
  running(process.pid);
  expect(temporalAddress(place({ address: 'config:1', namespace: 'crm' }), {})).toMatchObject({
    address: 'config:1',
    namespace: 'crm',
    from: 'the configuration',
  });
});

test('then the launcher that runs in this home', () => {
  running(process.pid);
  expect(temporalAddress(place(), {})).toMatchObject({
    address: '127.0.0.1:7000',
    namespace: 'default',
    uiUrl: 'http://ui',
  });
});

test('a launcher that is gone does not count', () => {
  running(2 ** 22 + 1);
  expect(() => temporalAddress(place(), {})).toThrow(
    expect.objectContaining({ code: 'TEMPORAL_UNAVAILABLE' }),
  );
});

test('links carry the id as one part of the path', () => {
  const target = { address: '', namespace: 'default', uiUrl: 'http://ui', from: '', connectionOptions: {} };
  expect(workflowUrl(target, 'sync/a/now', 'r1')).toBe(
    'http://ui/namespaces/default/workflows/sync%2Fa%2Fnow/r1/history',
  );
  expect(workflowUrl({ ...target, uiUrl: undefined }, 'x')).toBeUndefined();
});
