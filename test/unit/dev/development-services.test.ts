import { afterEach, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { readTemporalService, TEMPORAL_DEV_FILE, withFlags } from '../../../cli/dev/development-services.ts';
import { isListening, pickPort } from '../../../cli/dev/ports.ts';
import { launcherArgs } from '../../../cli/dev/temporal-server.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

function listen(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    servers.push(server);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    });
  });
}

test('temporal-dev.yml holds what workflows and operators rely on', () => {
  const service = readTemporalService();
  expect(service.searchAttributes).toEqual({
    Connection: 'Keyword',
    CrmObject: 'Keyword',
    Phase: 'Keyword',
    Trigger: 'Keyword',
    DataIntervalStart: 'Datetime',
    RowsLoaded: 'Int',
    ConflictCount: 'Int',
    Outcome: 'Keyword',
  });
  expect(service).toMatchObject({ namespace: 'default', port: 7233, uiPort: 8233, retentionDays: 30 });
  for (const flag of [
    '--sqlite-pragma=journal_mode=wal',
    '--sqlite-pragma=synchronous=normal',
    '--dynamic-config-value=matching.useNewMatcher=true',
    '--dynamic-config-value=matching.enableFairness=true',
  ]) {
    expect(service.args).toContain(flag);
  }
});

test('every port of the Compose file is published on this machine only', () => {
  const file: { services: Record<string, { ports?: string[] }> } = parse(
    readFileSync(TEMPORAL_DEV_FILE, 'utf8'),
  );
  const published = Object.values(file.services).flatMap(({ ports = [] }) => ports);
  expect(published.length).toBeGreaterThan(0);
  expect(published.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
});

test('the launcher replaces addresses, ports and database file, and keeps the rest', () => {
  const service = readTemporalService();
  const args = launcherArgs(service, '/home/user/hw', { port: 17233, uiPort: 18233 });
  expect(args.slice(0, 2)).toEqual(['server', 'start-dev']);
  expect(args.filter((arg) => /^--(ip|port|ui-ip|ui-port|db-filename)=/.test(arg))).toEqual([
    '--ip=127.0.0.1',
    '--ui-ip=127.0.0.1',
    '--port=17233',
    '--ui-port=18233',
    `--db-filename=${join('/home/user/hw', 'temporal.db')}`,
  ]);
  expect(args).toContain('--search-attribute=Outcome=Keyword');
  expect(args.join(' ')).not.toContain('0.0.0.0');
});

test('withFlags leaves a flag alone whose name merely begins the same', () => {
  expect(withFlags(['x', '--port=1', '--port-range=2'], { '--port': '9' })).toEqual([
    'x',
    '--port-range=2',
    '--port=9',
  ]);
});

test('a file without the service, or with a broken value, is told in one line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'headwater-yml-'));
  const path = join(folder, 'temporal-dev.yml');
  const good = readFileSync(TEMPORAL_DEV_FILE, 'utf8');
  const cases: [string, string][] = [
    ['services: {}', 'services.temporal is missing or not a mapping'],
    [good.replace('- start-dev', '- start'), 'must begin with "server start-dev"'],
    [good.replace('--port=7233', '--port=many'), '--port: "many" is not a positive integer'],
    [good.replace('--retention=30d', '--keep=30d'), '--retention=… is missing'],
    [good.replace('=Phase=Keyword', '=Phase'), '--search-attribute=Phase is not NAME=TYPE'],
  ];
  for (const [text, message] of cases) {
    writeFileSync(path, text);
    expect(() => readTemporalService(path)).toThrow(message);
  }
  rmSync(folder, { recursive: true });
});

test('a busy port gives way to a free one, a free one is kept, a promised one is passed over', async () => {
  const busy = await listen();
  const other = await pickPort(busy);
  expect(other).not.toBe(busy);
  expect(other).toBeGreaterThan(0);
  expect(await pickPort(other)).toBe(other);
  expect(await pickPort(other, new Set([other]))).not.toBe(other);
  expect(await isListening(`127.0.0.1:${busy}`)).toBe(true);
  expect(await isListening(`127.0.0.1:${other}`)).toBe(false);
});
