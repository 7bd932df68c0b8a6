import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { openSqliteClaims } from '../../stores/claims/sqlite.ts';
import { cause, crashBatch, CRASH_KEY, goldenText, options } from './claims-fixture.ts';

const ROUNDS = 6;
const CHILD = fileURLToPath(new URL('claims-crash-child.ts', import.meta.url));

/** The last batch that was acknowledged before the kill. */
async function workAndKill(path: string, from: number): Promise<number> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CHILD, path, String(from)]);
  const exit = once(child, 'close');
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (output += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (errors += part));
  await Promise.race([once(child.stdout, 'data'), exit]);
  await sleep(Math.random() * 150);
  child.kill('SIGKILL');
  await exit;
  expect(errors).toBe('');
  return Number(output.split('\n').slice(0, -1).at(-1) ?? from);
}

test('killed between transactions and applied again, the golden values are those of one calm run (I1)', async () => {
  const root = await mkdtemp(join(tmpdir(), 'claims-crash-'));
  const path = join(root, 'claims.db');
  let next = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const acknowledged = await workAndKill(path, next);
    expect(acknowledged).toBeGreaterThanOrEqual(next);
    const raw = new DatabaseSync(path);
    expect(raw.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
    raw.close();
    const claims = await openSqliteClaims({ path, masterKey: CRASH_KEY, ...options() });
    expect(await claims.verify()).toMatchObject({ ok: true });
    const batch = { id: `b${acknowledged}`, observations: crashBatch(acknowledged), cause: cause(1) };
    expect(await claims.apply(batch)).toMatchObject({ alreadyApplied: true });
    await claims.close();
    next = acknowledged + 1;
  }
  // Batches begun and not acknowledged are applied once more, as the workflow would.
  const crashed = await openSqliteClaims({ path, masterKey: CRASH_KEY, ...options() });
  const calm = await openSqliteClaims({ path: join(root, 'calm.db'), masterKey: CRASH_KEY, ...options() });
  const last = { id: `b${next}`, observations: crashBatch(next), cause: cause(1_000 + next) };
  await crashed.apply(last);
  for (let number = 0; number <= next; number += 1) {
    await calm.apply({ id: `b${number}`, observations: crashBatch(number), cause: cause(1_000 + number) });
  }
  expect(await goldenText(crashed)).toBe(await goldenText(calm));
  expect(await crashed.counts()).toMatchObject({ records: (await calm.counts()).records });
  await crashed.close();
  await calm.close();
  await rm(root, { recursive: true });
}, 120_000);
