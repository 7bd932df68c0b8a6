import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import type { Claims } from '../../stores/claims/claims.ts';
import { openPostgresClaims } from '../../stores/claims/postgres.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { applyAll, cause, masterKey, options, ref, seen } from './claims-fixture.ts';

/** What is Postgres' own: its files, its crashes, its rights. */

let postgres: TestPostgres;
let raw: Client;
let root: string;
let claims: Claims;
let at: { url: string; schema: string; headPath: string };

beforeAll(async () => {
  postgres = await startPostgres();
}, 60_000);
afterAll(async () => {
  await postgres.stop();
});

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'claims-postgres-'));
  at = { url: postgres.url, schema: postgres.newSchema(), headPath: join(root, 'claims-postgres.head') };
  claims = await openPostgresClaims({ ...at, masterKey, ...options() });
  await connect();
});
afterEach(async () => {
  await raw.end();
  await claims.close();
  await rm(root, { recursive: true });
});

async function connect(): Promise<void> {
  raw = new Client({ connectionString: postgres.url });
  raw.on('error', () => {});
  await raw.connect();
  await raw.query(`SET search_path TO ${at.schema}`);
}

/** Every byte of the server's tables and of its log. */
async function bytes(): Promise<string> {
  await raw.query('CHECKPOINT');
  const found: string[] = [];
  for (const folder of ['base', 'pg_wal']) {
    const path = join(postgres.dataDirectory, folder);
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    for (const entry of entries.filter((one) => one.isFile()))
      found.push(await readFile(join(entry.parentPath, entry.name), 'latin1'));
  }
  return found.join('\n');
}

test('no personal value is in any file of the server, and no row tells of an erased subject', async () => {
  const canary = { email: 'canary.bird@example.org', name: 'Canarybird', phone: '+4312345678901' };
  await applyAll(claims, [seen('a', 'REC-canary-1', 1, canary, { version: 'v-canary' })]);
  const id = (await claims.profileOf(ref('a', 'REC-canary-1'))) ?? '';
  await claims.override(id, 'name', 'Overbird', cause(2));
  await claims.rollback({ field: 'phone', hold: true }, cause(3));
  const files = await bytes();
  for (const secret of [...Object.values(canary), 'Overbird', masterKey.toString('latin1')]) {
    expect(files.includes(secret)).toBe(false);
  }
  expect(files.includes('REC-canary-1')).toBe(true);
  await claims.erase(id, cause(4));
  expect((await raw.query('SELECT record, salt, row_hash FROM records')).rows).toEqual([
    { record: null, salt: null, row_hash: null },
  ]);
  expect((await raw.query('SELECT * FROM identifiers')).rows).toEqual([]);
  const dead = await raw.query(
    "SELECT n_dead_tup::int AS n FROM pg_stat_all_tables WHERE relid = 'records'::regclass",
  );
  expect(dead.rows).toEqual([{ n: 0 }]);
  expect(await claims.verify()).toMatchObject({ ok: true });
});

test('a flipped bit is found at its batch, a cut log and a changed cause too', async () => {
  for (let index = 0; index < 40; index += 1) {
    await applyAll(claims, [seen('a', `${index}`, 1, { name: 'x' })]);
  }
  expect(await claims.verify()).toMatchObject({ ok: true, batches: 41, events: 41 });
  const tamper = async (sql: string, undo: string, brokenAt: number) => {
    await raw.query(sql);
    expect(await claims.verify()).toMatchObject({ ok: false, brokenAt });
    await raw.query(undo);
    expect(await claims.verify()).toMatchObject({ ok: true });
  };
  const flip = 'UPDATE events SET body = set_bit(body, 240, 1 - get_bit(body, 240)) WHERE seq = 20';
  await tamper(flip, flip, 20);
  await tamper(
    'UPDATE events SET rid = rid + 1 WHERE seq = 30',
    'UPDATE events SET rid = rid - 1 WHERE seq = 30',
    30,
  );
  await tamper(
    'UPDATE causes SET at = at + 1 WHERE number = 7',
    'UPDATE causes SET at = at - 1 WHERE number = 7',
    7,
  );
  await raw.query('DELETE FROM events WHERE seq > 38; DELETE FROM batches WHERE number > 38');
  expect(await claims.verify()).toMatchObject({ ok: false, brokenAt: 39 });
});

test('another key is refused, and so is a place that nobody has made; the head file is its owner’s', async () => {
  await applyAll(claims, [seen('a', '1', 1, { name: 'x' })]);
  expect((await stat(at.headPath)).mode & 0o777).toBe(0o600);
  const other = { ...at, masterKey: Buffer.alloc(32, 7), ...options() };
  await expect(openPostgresClaims(other)).rejects.toEqual(
    expect.objectContaining({ code: 'CONFIG_INVALID' }),
  );
  const nowhere = { ...at, schema: postgres.newSchema(), masterKey, ...options(), existing: true };
  await expect(openPostgresClaims(nowhere)).rejects.toEqual(
    expect.objectContaining({ code: 'INPUT_INVALID' }),
  );
});

test('I5: a wrong address or password is told without them', async () => {
  const open = async (url: string) => await openPostgresClaims({ ...at, url, masterKey, ...options() });
  const wrong = new URL(postgres.url);
  wrong.password = 'not-the-secret';
  for (const url of [wrong.href, 'hunter2-is-no-address', 'mysql://me:hunter2@127.0.0.1/x']) {
    const error: unknown = await open(url).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(JSON.stringify(error) + String(error)).not.toMatch(/not-the-secret|hunter2/);
  }
});

test('two that open a new place at once make it once', async () => {
  const fresh = { ...at, schema: postgres.newSchema(), masterKey, ...options() };
  const opened = await Promise.all([1, 2, 3].map(async () => await openPostgresClaims(fresh)));
  const counts = await Promise.all(opened.map(async (one) => await one.counts()));
  expect(counts).toEqual([counts[0], counts[0], counts[0]]);
  for (const one of opened) await one.close();
});

test('I2: a server that dies between the parts of a batch costs a repetition, and nothing that was acknowledged', async () => {
  const batch = (number: number) => ({
    id: `batch-${number}`,
    observations: Array.from({ length: 3_000 }, (_, index) =>
      seen('a', `${number}-${index}`, 1, { name: 'x' }),
    ),
    cause: cause(number + 1),
  });
  let refused = 0;
  for (let number = 0; number < 3; number += 1) {
    const applying = claims.apply(batch(number));
    const outcome = applying.then(
      () => 'applied',
      (error: unknown) => {
        expect(error).toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
        return 'refused';
      },
    );
    // Some parts of the batch are written by then, and none of them has to be on the disk.
    while ((await claims.counts()).records < number * 3_000 + 600);
    await raw.end();
    await postgres.kill();
    await postgres.restart();
    await connect();
    if ((await outcome) === 'refused') {
      refused += 1;
      await claims.apply(batch(number));
    }
    expect((await claims.counts()).records).toBe((number + 1) * 3_000);
    expect(await claims.apply(batch(number))).toMatchObject({ alreadyApplied: true });
    expect(await claims.verify()).toMatchObject({ ok: true });
  }
  expect(refused).toBeGreaterThan(0);
}, 60_000);
