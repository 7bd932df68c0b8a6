import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from '@jest/globals';
import { masterKeyFrom } from '../../stores/claims/master-key.ts';
import { openSqliteClaims } from '../../stores/claims/sqlite.ts';
import { applyAll, cause, masterKey, options, ref, seen } from './claims-fixture.ts';
import { claimsSuites } from './claims-suite.ts';

async function folder() {
  const root = await mkdtemp(join(tmpdir(), 'claims-'));
  const path = join(root, 'state', 'claims.db');
  return {
    path,
    open: async (more: Parameters<typeof options>[0] = {}) =>
      await openSqliteClaims({ path, masterKey, ...options(more) }),
    destroy: async () => await rm(root, { recursive: true }),
  };
}

claimsSuites({ name: 'sqlite', create: folder });

/** Every byte beside and in the store. */
async function bytes(path: string): Promise<string> {
  const home = join(path, '..');
  const files = await Promise.all((await readdir(home)).map((name) => readFile(join(home, name), 'latin1')));
  return files.join('\n');
}

test('no personal value is in any file, and nothing of an erased subject but keyed hashes', async () => {
  const { path, open, destroy } = await folder();
  const claims = await open();
  const canary = { email: 'canary.bird@example.org', name: 'Canarybird', phone: '+4312345678901' };
  await applyAll(claims, [seen('a', 'REC-canary-1', 1, canary, { version: 'v-canary' })]);
  await claims.override(
    (await claims.profileOf(ref('a', 'REC-canary-1'))) ?? '',
    'name',
    'Overbird',
    cause(2),
  );
  await claims.rollback({ field: 'phone', hold: true }, cause(3));
  const before = await bytes(path);
  for (const secret of [...Object.values(canary), 'Overbird', masterKey.toString('latin1')]) {
    expect(before.includes(secret)).toBe(false);
  }
  expect(before.includes('REC-canary-1')).toBe(true);
  const raw = new DatabaseSync(path);
  const salt = String(raw.prepare('SELECT salt FROM records').get()?.['salt']);
  raw.close();
  expect(before.includes(salt)).toBe(true);
  await claims.erase((await claims.profileOf(ref('a', 'REC-canary-1'))) ?? '', cause(4));
  const after = await bytes(path);
  expect(after.includes('REC-canary-1')).toBe(false);
  expect(after.includes(salt)).toBe(false);
  expect(await claims.verify()).toMatchObject({ ok: true });
  await claims.close();
  await destroy();
});

test('a flipped bit is found at its batch, a cut log and a changed cause too', async () => {
  const { path, open, destroy } = await folder();
  const claims = await open();
  for (let index = 0; index < 40; index += 1)
    await applyAll(claims, [seen('a', `${index}`, 1, { name: 'x' })]);
  expect(await claims.verify()).toMatchObject({ ok: true, batches: 41, events: 41 });
  const raw = new DatabaseSync(path);
  const tamper = async (sql: string, undo: string, at: number) => {
    raw.exec(sql);
    expect(await claims.verify()).toMatchObject({ ok: false, brokenAt: at });
    raw.exec(undo);
    expect(await claims.verify()).toMatchObject({ ok: true });
  };
  const { body } = raw.prepare('SELECT body FROM events WHERE seq = 20').get() ?? {};
  if (!(body instanceof Uint8Array)) throw new Error('no body');
  const flipped = Uint8Array.from(body);
  flipped[30] = (flipped[30] ?? 0) ^ 1;
  const set = raw.prepare('UPDATE events SET body = ? WHERE seq = 20');
  set.run(flipped);
  expect(await claims.verify()).toMatchObject({ ok: false, brokenAt: 20 });
  set.run(body);
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
  raw.exec('DELETE FROM events WHERE seq > 38; DELETE FROM batches WHERE number > 38');
  expect(await claims.verify()).toMatchObject({ ok: false, brokenAt: 39 });
  raw.close();
  await claims.close();
  await destroy();
});

test('another key, and a file of its own with mode 0600', async () => {
  const { path, open, destroy } = await folder();
  const claims = await open();
  await applyAll(claims, [seen('a', '1', 1, { name: 'x' })]);
  const modes = await Promise.all(
    ['claims.db', 'claims.head'].map(async (name) => (await stat(join(path, '..', name))).mode & 0o777),
  );
  expect(modes).toEqual([0o600, 0o600]);
  await claims.close();
  await expect(openSqliteClaims({ path, masterKey: Buffer.alloc(32, 7), ...options() })).rejects.toThrow(
    expect.objectContaining({ code: 'CONFIG_INVALID' }),
  );
  await destroy();
});

test('the key file is made once, by whoever comes first', async () => {
  const root = await mkdtemp(join(tmpdir(), 'claims-key-'));
  const path = join(root, 'home', 'claims.key');
  const keys = await Promise.all([1, 2, 3, 4].map(async () => await masterKeyFrom(path)));
  expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(1);
  expect(keys[0]).toHaveLength(32);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readdir(join(root, 'home'))).toEqual(['claims.key']);
  await rm(root, { recursive: true });
});
