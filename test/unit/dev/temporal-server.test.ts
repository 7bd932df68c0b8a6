import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTemporalService } from '../../../cli/dev/development-services.ts';
import { isListening, pickPort } from '../../../cli/dev/ports.ts';
import { identify } from '../../../cli/dev/process-identity.ts';
import { spawnProcess } from '../../../cli/dev/processes.ts';
import { retentionDays } from '../../../cli/dev/temporal-namespace.ts';
import { startTemporalServer } from '../../../cli/dev/temporal-server.ts';
import { connectExisting, isExistingChosen, ownServerEnv } from '../../../cli/dev/temporal-target.ts';
import { temporalCliPath, withTemporal } from '../../support/temporal.ts';

const FIRST_DOWNLOAD_MS = 10 * 60_000;
let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'headwater-server-'));
});

afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

/** Starts a workflow that carries every search attribute: the server refuses those it does not know. */
async function startWithAttributes(address: string): Promise<void> {
  const connection = await Connection.connect({ address });
  try {
    const attributes = new TypedSearchAttributes([
      { key: defineSearchAttributeKey('Connection', SearchAttributeType.KEYWORD), value: 'crm' },
      { key: defineSearchAttributeKey('RowsLoaded', SearchAttributeType.INT), value: 3 },
      {
        key: defineSearchAttributeKey('DataIntervalStart', SearchAttributeType.DATETIME),
        value: new Date(0),
      },
    ]);
    await new Client({ connection }).workflow.start('nothing', {
      taskQueue: 'nobody',
      workflowId: 'with-attributes',
      typedSearchAttributes: attributes,
    });
  } finally {
    await connection.close();
  }
}

test(
  'the server keeps its runs over a restart, with retention and search attributes, and gives way on busy ports',
  async () => {
    const busy = createServer();
    await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
    const address = busy.address();
    const busyPort = typeof address === 'object' && address ? address.port : 0;
    const said: string[] = [];
    const spawned: number[] = [];
    const options = { home, binaryPath: await temporalCliPath(), uiPort: 0 };
    const first = await startTemporalServer({
      ...options,
      port: busyPort,
      log: (message) => said.push(message),
      onSpawn: (pid) => spawned.push(pid),
    });
    try {
      expect(said).toEqual([`Port ${busyPort} is in use: the Temporal server takes ${first.port}.`]);
      expect(spawned).toEqual([first.pid]);
      await startWithAttributes(first.address);
      expect((await fetch(first.uiUrl)).status).toBe(200);
      // The environment it hands out leads to this server, whatever file or profile the user has.
      expect(await connectExisting({ env: first.env })).toMatchObject({
        address: first.address,
        uiUrl: first.uiUrl,
        pid: undefined,
      });
    } finally {
      await first.stop();
      busy.close();
    }
    expect(identify(first.pid)).toBeUndefined();
    expect(await isListening(first.address)).toBe(false);

    const second = await startTemporalServer({ ...options, port: 0 });
    const connection = await Connection.connect({ address: second.address });
    try {
      expect(await retentionDays(connection, 'default')).toBe(30);
      const { type } = await new Client({ connection }).workflow.getHandle('with-attributes').describe();
      expect(type).toBe('nothing');
    } finally {
      await connection.close();
      await second.stop();
    }
    expect(readFileSync(join(home, 'logs', 'temporal.log'), 'utf8')).toContain('Temporal Server:');
  },
  FIRST_DOWNLOAD_MS,
);

test(
  'an existing service gets the missing search attributes, usable at once, and a warning about its retention',
  async () => {
    const port = await pickPort(0);
    const uiPort = await pickPort(0, new Set([port]));
    const bare = await spawnProcess({
      name: 'a bare server',
      command: await temporalCliPath(),
      args: [
        'server',
        'start-dev',
        '--ip=127.0.0.1',
        `--port=${port}`,
        `--ui-port=${uiPort}`,
        '--log-level=error',
      ],
      logPath: join(home, 'bare.log'),
    });
    try {
      const env = ownServerEnv(
        { PATH: process.env['PATH'] },
        {
          address: `127.0.0.1:${port}`,
          namespace: 'default',
          uiUrl: 'http://ui/',
          configFile: join(home, 'none.toml'),
        },
      );
      while (!(await isListening(`127.0.0.1:${port}`)))
        await new Promise((resolve) => setTimeout(resolve, 20));
      delete env['TEMPORAL_CONFIG_FILE'];
      const said: string[] = [];
      const target = await connectExisting({
        env: { ...env, HOME: home },
        log: (message) => said.push(message),
      });
      await startWithAttributes(target.address);
      expect(target.uiUrl).toBe('http://ui');
      expect(said[0]).toContain('keeps closed runs for 1 days only');
      expect(said[1]).toBe(
        `Registered search attributes in namespace default: ${Object.keys(readTemporalService().searchAttributes).join(', ')}.`,
      );
      said.length = 0;
      await connectExisting({ env: { ...env, HOME: home }, log: (message) => said.push(message) });
      expect(said.join()).not.toContain('Registered');
      const elsewhere = { ...env, HOME: home, TEMPORAL_NAMESPACE: 'nowhere' };
      await expect(connectExisting({ env: elsewhere })).rejects.toThrow(
        `The Temporal service at 127.0.0.1:${port} does not give access to namespace nowhere: `,
      );
    } finally {
      await bare.stop();
    }
  },
  FIRST_DOWNLOAD_MS,
);

test('a chosen service that does not answer is one error with address and remedy', async () => {
  const address = `127.0.0.1:${await pickPort(0)}`;
  const failure = await connectExisting({
    env: { TEMPORAL_ADDRESS: address, HOME: home },
    connectTimeout: '1s',
  }).then(
    () => '',
    (error: Error) => error.message,
  );
  expect(failure).toContain(`The Temporal service at ${address} (from TEMPORAL_ADDRESS) does not answer: `);
  expect(failure).toContain('unset TEMPORAL_ADDRESS');
  expect(failure).not.toContain('\n');
  await expect(connectExisting({ env: { TEMPORAL_PROFILE: 'nope', HOME: home } })).rejects.toThrow(
    /configuration cannot be read: .*nope/,
  );
  expect(isExistingChosen({ TEMPORAL_ADDRESS: address })).toBe(true);
  expect(isExistingChosen({ TEMPORAL_PROFILE: 'prod' })).toBe(true);
  expect(isExistingChosen({ TEMPORAL_NAMESPACE: 'x' })).toBe(false);
});

test("settings of another service never reach our own server's clients", () => {
  const env = ownServerEnv(
    {
      PATH: '/bin',
      TEMPORAL_API_KEY: 'k',
      TEMPORAL_TLS_SERVER_NAME: 'n',
      TEMPORAL_PROFILE: 'p',
      TEMPORAL_CLI_PATH: '/t',
    },
    {
      address: '127.0.0.1:7233',
      namespace: 'default',
      uiUrl: 'http://127.0.0.1:8233',
      configFile: '/h/temporal.toml',
    },
  );
  expect(env).toEqual({
    PATH: '/bin',
    TEMPORAL_CLI_PATH: '/t',
    TEMPORAL_ADDRESS: '127.0.0.1:7233',
    TEMPORAL_NAMESPACE: 'default',
    TEMPORAL_UI_URL: 'http://127.0.0.1:8233',
    TEMPORAL_CONFIG_FILE: '/h/temporal.toml',
  });
});

test(
  'a server that cannot start is an error with its own words',
  async () => {
    const failure = startTemporalServer({ home, binaryPath: '/bin/false', port: 0, uiPort: 0 });
    await expect(failure).rejects.toThrow('The Temporal server ended before being ready (exit code 1)');
    const temporal = await withTemporal();
    await temporal.stop();
    expect(await isListening(temporal.address)).toBe(false);
  },
  FIRST_DOWNLOAD_MS,
);
