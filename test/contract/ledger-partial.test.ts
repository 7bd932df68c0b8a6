import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ORIGIN } from '../../rules/time.ts';
import type { Receipt } from '../../schemas/receipt.ts';
import type { Window } from '../../schemas/window.ts';
import type { Ledger, PlanRequest } from '../../stores/ledger/ledger.ts';
import { openSqliteLedger } from '../../stores/ledger/sqlite.ts';
import { CONNECTION, hour, owner, receipt, request, SINK } from './ledger-fixture.ts';

let folder: string;
let ledger: Ledger;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ledger-partial-'));
  ledger = await openSqliteLedger({ path: join(folder, 'ledger.db') });
});
afterEach(async () => {
  await ledger.close();
  await rm(folder, { recursive: true });
});

async function planned(plan: PlanRequest): Promise<Window> {
  const result = await ledger.planWindow(plan);
  if (result.kind !== 'window') throw new Error(`planned ${result.kind}`);
  return result.window;
}

const proof = (window: Window): Receipt => ({
  ...receipt(window),
  ...(window.fields === undefined ? {} : { fields: window.fields }),
});

async function staged(window: Window): Promise<Window> {
  await ledger.commitSource(window.id, window.attempt, proof(window));
  return window;
}

const landed = (window: Window, seq: number) =>
  ledger.commitSink(SINK, [{ window: window.id, attempt: window.attempt }], { epoch: 'e', seq });

const fields = (names: string[]) =>
  request(hour(9), { fields: names, past: { from: ORIGIN, until: hour(9) }, owner: owner('fields') });

test('a partial window is kept with its fields, and covers nothing', async () => {
  await landed(await staged(await planned(request(hour(1)))), 1);
  const partial = await planned(fields(['A', 'B']));
  expect(partial).toMatchObject({ from: ORIGIN, until: hour(1), fields: ['A', 'B'] });
  expect(await ledger.openWindows(CONNECTION)).toMatchObject([{ fields: ['A', 'B'] }]);
  const head = await planned(request(hour(2)));
  expect(head).toMatchObject({ from: hour(1), until: hour(2) });
  expect(head.fields).toBeUndefined();
  await ledger.abandonWindow(head.id, 'not of interest here');
  await landed(await staged(partial), 2);
  for (const coverage of [
    ledger.coverage(CONNECTION, 'Contact'),
    ledger.sinkCoverage(SINK, CONNECTION, 'Contact'),
  ])
    expect(await coverage).toEqual([{ from: ORIGIN, until: hour(1) }]);
  expect(await ledger.undelivered(SINK, CONNECTION)).toEqual([]);
});

test('a landed partial window does not stand for a staged one of all fields; that one stands for it', async () => {
  const first = await staged(await planned(request(hour(1))));
  const partial = await staged(await planned(fields(['A'])));
  await landed(partial, 1);
  expect((await ledger.undelivered(SINK, CONNECTION)).map((one) => one.id)).toEqual([first.id]);
  const other = await staged(await planned(fields(['B'])));
  await landed(first, 2);
  expect((await ledger.undelivered(SINK, CONNECTION)).map((one) => one.id)).toEqual([other.id]);
  const whole = request(hour(1), { past: { from: ORIGIN, until: hour(1) }, owner: owner('whole') });
  await landed(await staged(await planned(whole)), 3);
  expect(await ledger.undelivered(SINK, CONNECTION)).toEqual([]);
});

test('a refused one is given up even when it is staged', async () => {
  await landed(await staged(await planned(request(hour(1)))), 1);
  const partial = await staged(await planned(fields([])));
  await ledger.abandonWindow(partial.id, 'SHRINK_GUARD');
  expect(await ledger.undelivered(SINK, CONNECTION)).toEqual([]);
  expect(await planned(fields([]))).toMatchObject({ attempt: 1, fields: [] });
});

test('a ledger that adopts its interval row does not call anything covered', async () => {
  const partial = {
    window: 'w_partial',
    connection: CONNECTION,
    object: 'Contact',
    from: ORIGIN,
    until: hour(1),
  };
  const proven = { ...receipt({ ...partial, id: 'w_partial' }), fields: ['A'] };
  await ledger.adoptIntervals(SINK, [{ ...partial, receipt: proven }], { epoch: 'e', seq: 1 });
  expect(await ledger.coverage(CONNECTION, 'Contact')).toEqual([]);
  expect(await ledger.sinkCoverage(SINK, CONNECTION, 'Contact')).toEqual([]);
  expect(await ledger.windows({ limit: 1 })).toMatchObject([{ id: 'w_partial', fields: ['A'] }]);
});
