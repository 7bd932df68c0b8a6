import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { acceptedReceipt } from '../../../cli/commands/receipts.ts';
import { readStatus } from '../../../cli/commands/status.ts';
import { parseConfig } from '../../../config/parse-config.ts';
import { NO_ROWS } from '../../../rules/receipts.ts';
import { ORIGIN } from '../../../schemas/instant.ts';
import type { Receipt } from '../../../schemas/receipt.ts';
import { unmoved } from '../../../rules/summary.ts';
import type { RunSummary } from '../../../schemas/run.ts';
import type { Window } from '../../../schemas/window.ts';
import type { Ledger, WindowProgress } from '../../../stores/ledger/ledger.ts';
import { openSqliteLedger } from '../../../stores/ledger/sqlite.ts';
import { KINDS, valid } from '../config/kinds.ts';

const NINE = '2026-11-21T09:00:00.000Z';
const OWNER = { workflowId: 'sync/acme/now', runId: 'r1' };

let home: string;
let ledger: Ledger;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'home-'));
  ledger = await openSqliteLedger({ path: join(home, 'ledger.db') });
});
afterEach(async () => {
  await ledger.close();
  rmSync(home, { recursive: true });
});

function config() {
  const parsed = parseConfig(valid(), { file: 'f', home, kinds: KINDS });
  if (!parsed.ok) throw new Error(parsed.lines.join('\n'));
  return parsed.config;
}

async function contactAt(nowMs: number) {
  const found = await readStatus(config(), Object.values(config().connections), ledger, nowMs);
  return found.objects[0];
}

async function openWindow(): Promise<Window> {
  const [planned] = await ledger.planWindows([
    {
      connection: 'acme',
      object: 'Contact',
      owner: OWNER,
      until: NINE,
      lookbackMs: 0,
      closedOwners: [],
      now: NINE,
    },
  ]);
  if (planned?.kind !== 'window') throw new Error('no window was planned');
  return planned.window;
}

function receiptOf(window: Window): Receipt {
  return {
    window: window.id,
    connection: 'acme',
    object: 'Contact',
    from: window.from,
    until: window.until,
    transport: NO_ROWS,
    source: { before: 0, after: 0, moved: 0, late: 0, unexplained: 0 },
    destination: null,
    verdict: 'proven',
    at: NINE,
  };
}

test('an object grows from nothing to landed, and then stale', async () => {
  const nine = Date.parse(NINE);
  expect(await contactAt(nine)).toMatchObject({ staged: null, landed: null, stale: true, openWindows: 0 });
  const window = await openWindow();
  expect(await contactAt(nine)).toMatchObject({ landed: null, openWindows: 1 });
  await ledger.commitSource(window.id, 1, receiptOf(window));
  expect(await contactAt(nine)).toMatchObject({ staged: NINE, landed: null });
  await ledger.commitSink('duckdb', [{ window: window.id, attempt: 1 }], { epoch: 'e', seq: 1 });
  expect(await contactAt(nine + 7_200_000)).toMatchObject({ landed: NINE, lagMs: 7_200_000, stale: false });
  expect(await contactAt(nine + 7_200_001)).toMatchObject({ stale: true });
  await ledger.setMeta('pause/acme/Contact', 'paused');
  expect(await contactAt(nine + 7_200_001)).toMatchObject({ paused: true, stale: false });
});

function runOf(startedAt: string, more: Partial<RunSummary>): RunSummary {
  return {
    ...{ connection: 'acme', workflowId: `sync/acme-${startedAt}`, runId: startedAt, trigger: 'schedule' },
    ...{ outcome: 'partial', startedAt, endedAt: startedAt, idle: 0, objects: [] },
    ...more,
  };
}

test('the last try of an object that failed is told until its data are newer than the run', async () => {
  const failed = { ...unmoved('Contact', 'failed'), code: 'OBJECT_UNKNOWN', message: 'gone → look' };
  const [ten, eleven, noon] = ['10', '11', '12'].map((hour) => NINE.replace('T09', `T${hour}`));
  const nine = Date.parse(NINE);
  await ledger.endRun(runOf(NINE, { objects: [failed] }));
  const trouble = { state: 'failed', code: 'OBJECT_UNKNOWN', message: 'gone → look', startedAt: NINE };
  expect(await contactAt(nine)).toMatchObject({ trouble });
  // A run of other objects, or one that goes on, says nothing about this one.
  await ledger.endRun(runOf(ten!, { objects: [unmoved('Account', 'landed')] }));
  await ledger.startRun(runOf(eleven!, { endedAt: null, outcome: 'ok' }));
  expect(await contactAt(nine)).toMatchObject({ trouble });
  const found = await readStatus(config(), Object.values(config().connections), ledger, nine);
  expect(found.runs[0]).toMatchObject({ last: { startedAt: ten }, running: `sync/acme-${eleven}` });
  await ledger.endRun(runOf(noon!, { objects: [unmoved('Contact', 'landed')] }));
  expect(await contactAt(nine)).toMatchObject({ trouble: null });
});

test('an idle object has no line: what landed since its failure shows that it is well', async () => {
  const failed = { ...unmoved('Contact', 'failed'), code: 'OBJECT_UNKNOWN', message: 'gone → look' };
  const window = await openWindow();
  await ledger.commitSource(window.id, 1, receiptOf(window));
  await ledger.commitSink('duckdb', [{ window: window.id, attempt: 1 }], { epoch: 'e', seq: 1 });
  await ledger.endRun(runOf(NINE, { objects: [failed] }));
  expect(await contactAt(Date.parse(NINE))).toMatchObject({ trouble: { code: 'OBJECT_UNKNOWN' } });
  await ledger.endRun(
    runOf('2026-11-21T08:00:00.000Z', { runId: NINE, workflowId: `sync/acme-${NINE}`, objects: [failed] }),
  );
  expect(await contactAt(Date.parse(NINE))).toMatchObject({ trouble: null });
});

function stuck(batch: boolean): WindowProgress {
  const window: Window = {
    id: 'w_1',
    connection: 'acme',
    object: 'Contact',
    kind: 'first',
    from: ORIGIN,
    until: NINE,
    readFrom: ORIGIN,
    state: 'open',
    owner: OWNER,
    attempt: 3,
    slices: [],
    createdAt: NINE,
  };
  const counts = { ...NO_ROWS, sent: 7, received: 7, shaped: 6, quarantined: 1 };
  const slice = { slice: 0, api: 'rest', request: {}, rowsEstimate: null };
  const staged = { id: 'b', window: 'w_1', slice: 0, rows: [], tombstones: null, quarantine: null, counts };
  const schema = {
    object: 'Contact',
    table: 'contact',
    key: 'Id',
    stamp: null,
    deleted: null,
    fields: [],
    hash: '',
  };
  return {
    window,
    schema,
    readAt: NINE,
    countBefore: 9,
    receipt: null,
    slices: [{ slice, cursor: null, pages: [], extracted: true, batch: batch ? staged : null }],
  };
}

test('I7: an accepted window says so, with the rows that nobody explained and the reason', () => {
  expect(acceptedReceipt(stuck(true), 'the org lost them', NINE)).toMatchObject({
    verdict: 'accepted',
    reason: 'the org lost them',
    transport: { received: 7, shaped: 6, quarantined: 1 },
    source: { before: 9, after: null, unexplained: 2 },
    destination: null,
  });
});

test('a window that is not read to its end, or not open, cannot be accepted', () => {
  const refused = expect.objectContaining({ code: 'INPUT_INVALID' });
  expect(() => acceptedReceipt(stuck(false), 'why', NINE)).toThrow(refused);
  const landed = stuck(true);
  landed.window.state = 'staged';
  expect(() => acceptedReceipt(landed, 'why', NINE)).toThrow(refused);
});
