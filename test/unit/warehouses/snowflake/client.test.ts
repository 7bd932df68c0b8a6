import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { HeadwaterError } from '../../../../rules/errors.ts';
import { checkAccount } from '../../../../warehouses/snowflake/check.ts';
import { openClient, type Client } from '../../../../warehouses/snowflake/client.ts';
import { snowflakeConfigSchema } from '../../../../warehouses/snowflake/config.ts';
import { startWire, type SnowflakeWire } from '../../../support/snowflake-wire.ts';

const SECRET = 'a-word-nobody-may-read';
let folder: string;
let wire: SnowflakeWire;
let client: Client | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'headwater-snowflake-'));
  wire = await startWire();
});
afterEach(async () => {
  await client?.close();
  client = undefined;
  await wire.stop();
  await rm(folder, { recursive: true, force: true });
});

async function open(options: Record<string, unknown> = { password: SECRET }): Promise<Client> {
  const config = snowflakeConfigSchema.parse({
    ...{ kind: 'snowflake', account: 'org-account', user: 'loader', database: 'DW', accessUrl: wire.url },
    ...{ statementMsMax: 1_000 },
    ...options,
  });
  const context = { now: Date.now, log: () => undefined, memoryMbMax: 100, threads: 1 };
  client = await openClient(config, { ...context, tempDirectory: folder });
  return client;
}

const failure = (promise: Promise<unknown>): Promise<HeadwaterError> =>
  promise.then(
    () => {
      throw new Error('nothing failed');
    },
    (error: HeadwaterError) => error,
  );

const sent = (): string[] => wire.statements.map(({ sql }) => sql);

describe('login', () => {
  test('a key pair proves itself with a token that it signs; neither it nor its passphrase leaves the process', async () => {
    const { privateKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: SECRET },
    });
    const opened = await open({ privateKey, privateKeyPassphrase: SECRET });
    await opened.use('looking', (session) => session.rows('SELECT 1'));
    expect(wire.logins[0]).toMatchObject({
      AUTHENTICATOR: 'SNOWFLAKE_JWT',
      TOKEN: expect.stringMatching(/^ey/),
    });
    expect(JSON.stringify(wire.logins)).not.toContain(SECRET);
    expect(JSON.stringify(wire.logins)).not.toContain('PRIVATE KEY');
  });

  test.each([
    ['token', 'OAUTH'],
    ['accessToken', 'PROGRAMMATIC_ACCESS_TOKEN'],
  ])('%s goes as %s', async (key, authenticator) => {
    const opened = await open({ [key]: SECRET });
    await opened.use('looking', (session) => session.rows('SELECT 1'));
    expect(wire.logins[0]).toMatchObject({ AUTHENTICATOR: authenticator, TOKEN: SECRET });
  });

  test('I5: a key that cannot be read is told without its words', async () => {
    const error = await failure(open({ privateKey: SECRET }));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(`${error.message}${error.remedy}${String(error.cause)}`).not.toContain(SECRET);
  });

  test('a refused login is no matter of trying again, and names no secret', async () => {
    wire.refuse = { code: '390100', message: 'Incorrect username or password was specified.' };
    const opened = await open();
    const error = await failure(opened.use('looking', (session) => session.rows('SELECT 1')));
    expect(error.code).toBe('WAREHOUSE_REJECTED');
    expect(error.message).toContain('390100');
    expect(error.message).not.toContain(SECRET);
  });

  test('one credential, neither none nor two', () => {
    const base = { kind: 'snowflake', account: 'a', user: 'u', database: 'D' };
    expect(snowflakeConfigSchema.safeParse(base).success).toBe(false);
    expect(snowflakeConfigSchema.safeParse({ ...base, password: 'p', token: 't' }).success).toBe(false);
    expect(snowflakeConfigSchema.safeParse({ ...base, token: 't' }).success).toBe(true);
    const at = (accessUrl: string) =>
      snowflakeConfigSchema.safeParse({ ...base, token: 't', accessUrl }).success;
    expect([at('https://x.example'), at('http://127.0.0.1:1'), at('http://x.example')]).toEqual([
      true,
      true,
      false,
    ]);
    expect(at('http://127.0.0.1.x.example')).toBe(false);
  });
});

describe('external stages', () => {
  const base = { kind: 'snowflake', account: 'a', user: 'u', database: 'D', token: 't' };
  const stage = { name: 'D.S.LOADS', url: 's3://bucket/path/' };
  const wrong = (more: object): string[] =>
    snowflakeConfigSchema.safeParse({ ...base, ...more }).error?.issues.map(({ path }) => path.join('.')) ??
    [];

  test.each([
    ['s3://bucket/', []],
    ['gcs://acme-lake/a/b_c/', []],
    ['s3://bucket/path', ['externalStage.url']],
    ['azure://account/container/', ['externalStage.url']],
    ["s3://bucket/it's/", ['externalStage.url']],
    ['s3://bucket/../other/', ['externalStage.url']],
  ])('%s', (url, expected) => {
    expect(wrong({ externalStage: { ...stage, url } })).toEqual(expected);
  });

  test('one stage, and both halves of a login', () => {
    expect(wrong({ externalStage: stage, stage: 'D.S.OTHER' })).toEqual(['externalStage']);
    expect(wrong({ externalStage: { ...stage, accessKeyId: 'k' } })).toEqual(['externalStage.accessKeyId']);
    expect(wrong({ externalStage: { ...stage, name: 'LOADS' } })).toEqual(['externalStage.name']);
  });

  test('I5: a key of a service account that cannot be read is told without its words', async () => {
    const externalStage = { name: 'D.S.LOADS', url: 'gcs://bucket/', key: SECRET };
    const error = await failure(open({ password: SECRET, externalStage }));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(`${error.message}${error.remedy}${String(error.cause)}`).not.toContain(SECRET);
  });
});

describe('statements', () => {
  test('a session is kept alive by the driver', async () => {
    const opened = await open();
    await opened.use('looking', (session) => session.rows('SELECT 1'));
    expect(wire.logins[0]?.['SESSION_PARAMETERS']).toMatchObject({
      CLIENT_SESSION_KEEP_ALIVE: true,
      CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY: 900,
    });
  });

  test('what lasts as long as a session is done once in each', async () => {
    const opened = await open({ password: SECRET, connectionsMax: 2 });
    const once = () => opened.use('staging', (session) => session.once('CREATE TEMPORARY STAGE x'));
    await once();
    await once();
    expect(sent().filter((sql) => sql.startsWith('CREATE'))).toHaveLength(1);
    await Promise.all([once(), once()]);
    expect([wire.logins.length, sent().filter((sql) => sql.startsWith('CREATE')).length]).toEqual([2, 2]);
  });

  test('compute that may not be used, or does not resume, is told with its grant', async () => {
    wire.reply = (sql) =>
      sql.startsWith('MERGE')
        ? { error: { code: '000606', state: '57P03', message: 'No active warehouse selected' } }
        : { columns: ['VERSION', 'DB', 'ROLE'], rows: [['9', 'DW', 'R']] };
    const config = snowflakeConfigSchema.parse({
      ...{ kind: 'snowflake', account: 'a', user: 'u', database: 'DW', password: SECRET, warehouse: 'wh' },
    });
    const results = await checkAccount(await open(), config);
    expect(results.find(({ check }) => check === 'tables')).toMatchObject({
      ...{ ok: false, detail: expect.stringContaining('no compute is running for this session') },
      remedy: 'GRANT USAGE, OPERATE ON WAREHOUSE "WH" TO ROLE "R";',
    });
  });

  test('I5: the tag of each statement has ids alone; the session sets its limits', async () => {
    const opened = await open();
    await opened.use('loading batch b_1', (session) => session.rows('SELECT 1'), {
      tag: { window: 'w_1', batch: 'b_1', run: 'sync/crm r1' },
    });
    const tagged = wire.statements.find(({ sql }) => sql === 'SELECT 1');
    expect(JSON.parse(tagged?.tag ?? '')).toEqual({
      ...{ app: 'headwater', what: 'loading batch b_1', window: 'w_1', batch: 'b_1', run: 'sync/crm r1' },
    });
    expect(sent()[0]).toContain('STATEMENT_TIMEOUT_IN_SECONDS = 1');
  });

  test.each([
    ['000625', '57014', 'WAREHOUSE_UNAVAILABLE'],
    ['000604', '57014', 'WAREHOUSE_UNAVAILABLE'],
    ['000603', 'XX000', 'WAREHOUSE_UNAVAILABLE'],
    ['003001', '42501', 'WAREHOUSE_REJECTED'],
    ['001003', '42000', 'WAREHOUSE_REJECTED'],
  ])('error %s of class %s is %s, and the transaction is rolled back', async (code, state, expected) => {
    wire.reply = (sql) =>
      sql.startsWith('MERGE') ? { error: { code, state, message: 'no' } } : { columns: [], rows: [] };
    const opened = await open();
    const error = await failure(
      opened.use('merging', (session) => session.atomically(() => session.run('MERGE INTO x'))),
    );
    expect(error.code).toBe(expected);
    expect(sent().slice(1)).toEqual(['BEGIN', 'MERGE INTO x', 'ROLLBACK']);
    // The session is whole and is used again.
    await opened.use('looking', (session) => session.rows('SELECT 1'));
    expect(wire.logins).toHaveLength(1);
  });

  test('I5: the words of an error about data are not told, since they quote it', async () => {
    const message = `Numeric value '${SECRET}' is not recognized`;
    wire.reply = (sql) =>
      sql === 'COPY' ? { error: { code: '100038', state: '22018', message } } : { columns: [], rows: [] };
    const opened = await open();
    const error = await failure(opened.use('copying', (session) => session.run('COPY')));
    expect(error.code).toBe('WAREHOUSE_REJECTED');
    expect(error.message).toBe('copying: error 100038 of Snowflake');
  });

  test('a server that is busy once is asked again by the driver', async () => {
    let busy = 1;
    wire.reply = (sql) =>
      sql === 'SELECT 1' && busy-- > 0 ? 'unavailable' : { columns: ['A'], rows: [['x']] };
    const opened = await open({ password: SECRET, statementMsMax: 20_000 });
    expect(await opened.use('looking', (session) => session.rows('SELECT 1'))).toEqual([{ a: 'x' }]);
  });

  test('one that never answers is given up, and the next work has a session of its own', async () => {
    const asked = (): number => sent().filter((sql) => sql === 'SELECT 1').length;
    wire.reply = (sql) => (sql === 'SELECT 1' && asked() === 1 ? 'silent' : { columns: [], rows: [] });
    const opened = await open();
    const started = performance.now();
    const error = await failure(opened.use('looking', (session) => session.rows('SELECT 1')));
    expect(error.code).toBe('WAREHOUSE_UNAVAILABLE');
    expect(performance.now() - started).toBeLessThan(5_000);
    await opened.use('looking', (session) => session.rows('SELECT 2'));
    expect(wire.logins).toHaveLength(2);
    // The driver does not know: it asks once more, about a session that is closed.
    for (let tries = 0; asked() < 2 && tries < 100; tries++) await sleep(50);
  });

  test('what is stopped is cancelled at the server and rolled back', async () => {
    const controller = new AbortController();
    let running = true;
    wire.reply = (sql) => {
      if (sql !== 'MERGE') return { columns: [], rows: [] };
      if (running) setTimeout(() => controller.abort(new Error('stop')), 10);
      running = false;
      return 'silent';
    };
    const opened = await open();
    const work = opened.use('merging', (session) => session.atomically(() => session.run('MERGE')), {
      signal: controller.signal,
    });
    await expect(work).rejects.toThrow('stop');
    expect(wire.cancels).toBeGreaterThan(0);
    expect(sent()).not.toContain('COMMIT');
  }, 20_000);

  test('transactions of this process follow each other; no more sessions are opened than allowed', async () => {
    let inside = 0;
    let most = 0;
    const opened = await open({ password: SECRET, connectionsMax: 3 });
    const one = () =>
      opened.use('working', (session) =>
        session.atomically(async () => {
          most = Math.max(most, ++inside);
          await session.run('UPDATE x');
          inside -= 1;
        }),
      );
    await Promise.all(Array.from({ length: 8 }, one));
    expect(most).toBe(1);
    expect(wire.logins.length).toBeLessThanOrEqual(3);
  });
});
