import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from '@jest/globals';
import { openSqliteLedger } from '../../stores/ledger/sqlite.ts';
import { ledgerFactsSuite } from './ledger-facts-suite.ts';
import { firstLoad, hour, owner, planned, receipt, request } from './ledger-fixture.ts';
import { ledgerPruneSuite } from './ledger-prune-suite.ts';
import { ledgerSuite, type LedgerFactory } from './ledger-suite.ts';

async function folder(): Promise<{ path: string; destroy: () => Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'ledger-'));
  return { path: join(root, 'state', 'ledger.db'), destroy: async () => await rm(root, { recursive: true }) };
}

const factory: LedgerFactory = {
  name: 'sqlite',
  create: async () => {
    const { path, destroy } = await folder();
    return { open: async () => await openSqliteLedger({ path }), destroy };
  },
};

ledgerSuite(factory);
ledgerFactsSuite(factory);
ledgerPruneSuite(factory);

test('only its owner can read the file and the folder', async () => {
  const { path, destroy } = await folder();
  const ledger = await openSqliteLedger({ path });
  await firstLoad(ledger, hour(1));
  const modes = await Promise.all(
    ['', '-wal', '-shm'].map(async (end) => (await stat(`${path}${end}`)).mode & 0o777),
  );
  expect(modes).toEqual([0o600, 0o600, 0o600]);
  expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o700);
  await ledger.close();
  await ledger.close();
  await destroy();
});

test('a lock of another process is waited for, then named, and this process stays responsive', async () => {
  const { path, destroy } = await folder();
  const ledger = await openSqliteLedger({ path, busyTimeoutMs: 150 });
  const other = new DatabaseSync(path);
  let ticks = 0;
  const timer = setInterval(() => (ticks += 1), 5);
  try {
    other.exec('BEGIN IMMEDIATE');
    await expect(ledger.setMeta('a', 'b')).rejects.toEqual(expect.objectContaining({ code: 'INTERNAL' }));
    expect(ticks).toBeGreaterThan(2);
    const waiting = ledger.setMeta('a', 'c');
    other.exec('COMMIT');
    await waiting;
    expect(await ledger.meta('a')).toBe('c');
  } finally {
    clearInterval(timer);
    other.close();
    await ledger.close();
    await destroy();
  }
});

test('a statement that fails takes its whole transaction back', async () => {
  const { path, destroy } = await folder();
  const ledger = await openSqliteLedger({ path });
  const window = await firstLoad(ledger, hour(1)).then(async () => await planned(ledger, request(hour(2))));
  const raw = new DatabaseSync(path);
  raw.exec("CREATE TRIGGER refuse BEFORE UPDATE ON coverage BEGIN SELECT RAISE(ABORT, 'refused'); END");
  await expect(ledger.commitSource(window.id, 1, receipt(window))).rejects.toThrow('refused');
  expect(await ledger.openWindows('crm')).toMatchObject([{ id: window.id, state: 'open' }]);
  raw.exec('DROP TRIGGER refuse');
  raw.close();
  await ledger.commitSource(window.id, 1, receipt(window));
  expect((await ledger.coverage('crm', 'Contact'))[0]?.until).toBe(hour(2));
  await ledger.close();
  await destroy();
});

test('the idle path of 50 objects stays within its budget', async () => {
  const { path, destroy } = await folder();
  const ledger = await openSqliteLedger({ path });
  const times: number[] = [];
  for (let round = 1; round <= 12; round += 1) {
    const asks = Array.from({ length: 50 }, (_, index) =>
      request(hour(round), { object: `o${index}`, owner: owner('x') }),
    );
    const start = performance.now();
    const plans = await ledger.planWindows(asks);
    const windows = plans.flatMap((one) => (one.kind === 'window' ? [one.window] : []));
    await ledger.commitSources(windows.map((one) => ({ window: one.id, attempt: 1, receipt: receipt(one) })));
    await ledger.commitSink(
      'w',
      windows.map((one) => ({ window: one.id, attempt: 1 })),
      { epoch: 'e', seq: round },
    );
    times.push(performance.now() - start);
    expect(windows).toHaveLength(50);
  }
  // 11 ms measured; four times the budget of 30 ms, since a test machine may be busy with other work.
  expect(times.sort((a, b) => a - b)[6]).toBeLessThan(120);
  await ledger.close();
  await destroy();
});
