/**
 * Three roads to one record: polls, pushed hints that are fetched, pushed rows. Real shaper, stage, claims store and warehouse;
 * only the source is a list of versions.
 */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { asyncLocalStorage, type Context } from '@temporalio/activity';
import * as fc from 'fast-check';
import type { OpenSources } from '../../activities/connections.ts';
import type { ConnectionSettings, Dependencies } from '../../activities/dependencies.ts';
import { claimEvents } from '../../activities/inbox-claim.ts';
import { Landing } from '../../activities/inbox-land.ts';
import { NO_GOLDEN, reconcileBatches } from '../../activities/reconcile.ts';
import { mapTo } from '../../mapping/mapping.ts';
import { phoneNormaliser } from '../../mapping/normalise.ts';
import { contact } from '../../schemas/entities/index.ts';
import type { InboxRow } from '../../stores/inbox/inbox.ts';
import { openSqliteInbox } from '../../stores/inbox/sqlite.ts';
import { openSqliteClaims } from '../../stores/claims/sqlite.ts';
import { openDiskStage } from '../../stores/stage/disk.ts';
import { duckdb } from '../../warehouses/duckdb/index.ts';
import { goldenText, masterKey, options } from './claims-fixture.ts';
import { field, openBench, schemaOf, windowOf, type Bench } from './warehouse-fixture.ts';

const RECORD = 'r1';
const schema = schemaOf([field('Email'), field('Title')]);
const second = (count: number) => new Date(Date.UTC(2026, 10, 20, 8, 0, 0) + count * 1_000).toISOString();
const signal = new AbortController().signal;

/** What the source held from `since` on; its stamps have whole seconds, so two edits may share one. */
interface Version {
  since: number;
  stamp: string;
  title: string | null;
  deleted?: boolean;
}
const VERSIONS: Version[] = [
  { since: 0, stamp: second(0), title: 'first' },
  { since: 10.2, stamp: second(10), title: 'second' },
  { since: 10.7, stamp: second(10), title: 'third' },
  { since: 20, stamp: second(20), title: null },
  { since: 30, stamp: second(30), title: 'first' },
];

const at = (time: number): Version => {
  const found = VERSIONS.findLast(({ since }) => since <= time);
  if (found === undefined) throw new Error('before the first version');
  return found;
};

const rowOf = ({ stamp, title, deleted = false }: Version) => ({
  ...{ Id: RECORD, Stamp: stamp, Deleted: deleted, Email: 'ann@example.com', Title: title },
});

/** A reading at a time, or a row pushed with the version of that time; each may arrive at any moment, and again. */
interface Arrival {
  road: 'poll' | 'hint' | 'row';
  time: number;
}
const ARRIVALS: Arrival[] = [
  { road: 'poll', time: 5 },
  { road: 'hint', time: 10.4 },
  { road: 'row', time: 10.2 },
  { road: 'poll', time: 10.9 },
  { road: 'row', time: 20 },
  { road: 'hint', time: 25 },
  { road: 'poll', time: 31 },
  { road: 'hint', time: 33 },
];

let bench: Bench;
let worlds = 0;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

async function openWorld() {
  worlds += 1;
  const folder = await mkdtemp(join(bench.folder, `world-${worlds}-`));
  const [stage, warehouse, claims, inbox] = await Promise.all([
    openDiskStage({ root: join(folder, 'stage') }),
    duckdb.connect(duckdb.config.parse({ kind: 'duckdb', path: join(folder, 'warehouse.duckdb') }), {
      ...{ now: Date.now, log: () => {}, tempDirectory: join(folder, 'spill'), memoryMbMax: 200, threads: 1 },
    }),
    openSqliteClaims({ path: join(folder, 'claims.db'), masterKey, ...options() }),
    openSqliteInbox({ path: join(folder, 'inbox.db'), waitingMax: 1_000 }),
  ]);
  let now = 0;
  const settings = {
    ...{ name: 'crm', capabilities: { jsonRecords: 'records' }, objects: 'all', exclude: [] },
    ...{ policy: { tables: 'evolve', columns: 'evolve', types: 'evolve' }, webhooks: { landEveryMs: 0 } },
  } as unknown as ConnectionSettings;
  const dependencies = {
    ...{ stage, warehouse, shaper: bench.shaper, freeBytesMin: 0, sink: 'duckdb' },
    connections: new Map([['crm', settings]]),
    ledger: { schema: () => Promise.resolve({ schema, version: 1 }) },
    lanes: (_: string, work: () => unknown) => work(),
    now: () => Date.parse(second(now)),
    log: () => {},
    fast: { inbox, shaper: bench.shaper, rememberMs: 1, stopping: signal },
    profiles: {
      claims,
      mappings: () => [mapTo(contact, { fields: { email: 'Email', jobTitle: 'Title' } })],
      phone: phoneNormaliser('US'),
    },
  } as unknown as Dependencies;
  const source = {
    async *fetch() {
      const text = JSON.stringify({ records: [rowOf(at(now))] });
      yield {
        format: 'json',
        body: Readable.from([Buffer.from(text)]),
        rowsSent: () => 1,
        cursor: () => ({}),
      };
    },
  };
  const sources = { source: () => Promise.resolve(source) } as unknown as OpenSources;
  const { profiles } = dependencies;
  if (profiles === undefined) throw new Error('no profiles');

  async function push(kind: 'hint' | 'row', time: number): Promise<void> {
    const event: InboxRow = {
      ...{ id: `${kind} ${time}`, object: 'Contact', record: RECORD, position: 1, attempts: 0 },
      ...(kind === 'row'
        ? { kind: 'row', values: rowOf(at(time)), at: second(time) }
        : { kind: 'changed', values: null, at: null }),
      acceptedAt: second(time),
    };
    const claimed = await claimEvents(dependencies, sources, 'crm', [event]);
    const landing = new Landing(dependencies, 'crm', () => {});
    landing.keep(claimed, [event.position]);
    await landing.flush(10_000, signal);
    expect(landing.isEmpty).toBe(true);
    expect(landing.landed).toEqual({ records: 1, parked: 0 });
  }

  let polls = 0;
  async function poll(time: number): Promise<void> {
    polls += 1;
    const { stamp, deleted = false, title } = at(time);
    const window = windowOf(`w_${polls}`, { until: second(3_600) });
    const csv = [[RECORD, stamp, String(deleted), 'ann@example.com', title]];
    const request = await bench.batch(schema, { csv }, { window, confirmedAt: second(time) });
    await warehouse.migrate('crm', schema, settings.policy);
    await warehouse.load(request, signal);
    expect(request.batch.counts.shaped).toBe(1);
    const here = { ...dependencies, stage: { ...stage, path: (path: string) => Promise.resolve(path) } };
    await reconcileBatches(here, profiles!, {
      ...{ window, schema, batches: [request.batch], summary: { ...NO_GOLDEN } },
      cause: { via: 'poll', run: null, actor: null, reason: null, at: second(time) },
    });
  }

  return {
    async arrive({ road, time }: Arrival): Promise<void> {
      now = time;
      const context = {
        cancellationSignal: signal,
        heartbeat: () => {},
        info: { attempt: 1 },
      } as unknown as Context;
      await asyncLocalStorage.run(context, () => (road === 'poll' ? poll(time) : push(road, time)));
    },
    async state(): Promise<string> {
      const { rows } = await warehouse.query(
        'SELECT title, _deleted, _version, _confirmed_at FROM crm.contact',
        10,
      );
      return `${await goldenText(claims)}\n${JSON.stringify(rows)}`;
    },
    async close() {
      await Promise.all([claims.close(), inbox.close(), warehouse.close()]);
    },
  };
}

async function stateAfter(arrivals: readonly Arrival[]): Promise<string> {
  const world = await openWorld();
  try {
    for (const arrival of arrivals) await world.arrive(arrival);
    return await world.state();
  } finally {
    await world.close();
  }
}

test('I1: polls, hints and rows in any order, and again, leave the same golden values and the same raw row', async () => {
  const wanted = await stateAfter(ARRIVALS);
  expect(wanted).toContain('"first"');
  const orders = fc
    .tuple(
      fc.shuffledSubarray(ARRIVALS, { minLength: ARRIVALS.length }),
      fc.array(fc.constantFrom(...ARRIVALS), { maxLength: 3 }),
    )
    .map(([all, repeated]) => [...all, ...repeated]);
  await fc.assert(
    fc.asyncProperty(orders, async (arrivals) => {
      expect(await stateAfter(arrivals)).toBe(wanted);
    }),
    { numRuns: 8 },
  );
}, 60_000);

test('a pushed row that comes late does not outrank what was read since at the same stamp', async () => {
  const late: Arrival[] = [
    { road: 'poll', time: 10.9 },
    { road: 'row', time: 10.2 },
  ];
  expect(await stateAfter(late)).toMatch(/"value":"third"[^]*\n.*"third"/);
});
