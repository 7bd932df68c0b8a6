import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { contains, normalize } from '../../rules/coverage.ts';
import { openSqliteLedger } from '../../stores/ledger/sqlite.ts';
import { CONNECTION, SINK } from './ledger-fixture.ts';

const ROUNDS = 10;
const CHILD = fileURLToPath(new URL('ledger-crash-child.ts', import.meta.url));

interface Facts {
  attempts: Map<string, number>;
  pages: Map<string, number>;
  staged: Set<string>;
  landed: Set<string>;
}

/** Starts a child, lets it work for a while, kills it without warning and adds what it acknowledged. */
async function workAndKill(path: string, name: string, facts: Facts): Promise<number> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CHILD, path, name]);
  const exit = once(child, 'close');
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (output += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (errors += part));
  await Promise.race([once(child.stdout, 'data'), exit]);
  await sleep(Math.random() * 60);
  child.kill('SIGKILL');
  await exit;
  expect(errors).toBe('');
  const lines = output.split('\n').slice(0, -1);
  for (const line of lines) {
    const fact: {
      planned?: string;
      attempt?: number;
      window?: string;
      pages?: number;
      staged?: string;
      landed?: string;
    } = JSON.parse(line);
    if (fact.planned !== undefined) facts.attempts.set(fact.planned, fact.attempt ?? 0);
    if (fact.window !== undefined) facts.pages.set(fact.window, fact.pages ?? 0);
    if (fact.staged !== undefined) facts.staged.add(fact.staged);
    if (fact.landed !== undefined) facts.landed.add(fact.landed);
  }
  return lines.length;
}

async function check(path: string, facts: Facts): Promise<void> {
  const raw = new DatabaseSync(path);
  expect(raw.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  expect(raw.prepare('PRAGMA foreign_key_check').all()).toEqual([]);
  raw.close();
  const ledger = await openSqliteLedger({ path });
  const windows = await ledger.windows({ connection: CONNECTION, limit: 10_000 });
  const staged = windows.filter((one) => one.state === 'staged');
  const coverage = await ledger.coverage(CONNECTION, 'Contact');
  // I3: the coverage is what is proven, no more and no less.
  expect(coverage).toEqual(normalize(staged));
  for (const one of await ledger.sinkCoverage(SINK, CONNECTION, 'Contact'))
    expect(contains(coverage, one)).toBe(true);
  const undelivered = new Set((await ledger.undelivered(SINK, CONNECTION)).map((one) => one.id));
  const known = new Map(windows.map((one) => [one.id, one]));
  for (const id of facts.staged) expect(known.get(id)?.state).toBe('staged');
  for (const id of facts.landed) expect(undelivered.has(id)).toBe(false);
  for (const [id, attempt] of facts.attempts) expect(known.get(id)?.attempt).toBeGreaterThanOrEqual(attempt);
  for (const [id, pages] of facts.pages) {
    const [slice] = (await ledger.progress(id)).slices;
    // I2: the cursor stands behind exactly the pages that are stored.
    expect(slice?.pages.length).toBeGreaterThanOrEqual(pages);
    expect(slice?.cursor).toEqual({ next: slice?.pages.length });
    expect(slice?.pages.map((one) => one.page)).toEqual(slice?.pages.map((_, index) => index));
  }
  await ledger.close();
}

test('a process that is killed at any point leaves a consistent ledger with all it acknowledged', async () => {
  const root = await mkdtemp(join(tmpdir(), 'ledger-crash-'));
  const path = join(root, 'ledger.db');
  const facts: Facts = { attempts: new Map(), pages: new Map(), staged: new Set(), landed: new Set() };
  let acknowledged = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    acknowledged += await workAndKill(path, `child-${round}`, facts);
    await check(path, facts);
  }
  expect(acknowledged).toBeGreaterThan(ROUNDS);
  expect(facts.staged.size).toBeGreaterThan(1);
  await rm(root, { recursive: true });
});
