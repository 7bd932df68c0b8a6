/** I2: whatever is lost between a worker and BigQuery, and wherever the worker dies, the batch is there once after a replay. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { HeadwaterError } from '../../rules/errors.ts';
import type { LoadRequest, Warehouse } from '../../warehouses/warehouse.ts';
import {
  bqemulatorMissing,
  openBigquery,
  startBqemulator,
  type TestBigquery,
} from '../support/bqemulator.ts';
import { cutProxy } from '../support/cut-proxy.ts';
import { httpCut, type Cut } from '../support/http-cut.ts';
import { openBench, windowOf, type Bench } from './warehouse-fixture.ts';
import { EVOLVE, NAME, row, signal, T } from './warehouse-harness.ts';

const missing = await bqemulatorMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED: crashes of loads into BigQuery, ${missing}\n`);
/** All cuts take minutes; those behind a request that makes or sends something, which are the hard ones, take part of one. */
const ALL = process.env['HEADWATER_TEST_ALL'] === '1';
/** Cuts that are tried at once: a dead worker's client tries again for a while before it gives up. */
const AT_ONCE = 6;

/** The way of a window of a run, by load jobs, and that of pushed changes, by streams. */
const ROADS = [
  ['a load into BigQuery', 'w2'],
  ['a load of pushed changes into BigQuery', 'byid_w2'],
] as const;

(missing !== undefined ? describe.skip : describe).each(ROADS)('%s', (_, window) => {
  // Most requests of the second way are those of the first.
  const every = ALL && window === 'w2';
  let server: TestBigquery;
  let bench: Bench;
  let requests: [LoadRequest, LoadRequest];
  let steps: number;
  let chosen: number[];
  let wanted: unknown;
  beforeAll(async () => {
    [server, bench] = await Promise.all([startBqemulator(), openBench()]);
    requests = await batches();
    const calm = await attempt({ at: 0, side: 'request', forEver: false });
    steps = calm.requests.length;
    chosen = calm.requests.flatMap((told, at) => (every || !told.startsWith('GET') ? [at + 1] : []));
    if (!ALL && window !== 'w2') chosen = chosen.filter((_, at) => at % 2 === 0);
    wanted = calm.state;
  }, 90_000);
  afterAll(async () => {
    await bench.close();
    await server.stop();
  });

  async function batches(): Promise<[LoadRequest, LoadRequest]> {
    const rows = [row('1', 1, 'a'), row('2', 2, 'b'), row('3', 3, 'c'), row('4', 4, 'd')];
    const before = { window: windowOf('w1'), id: 'b1', confirmedAt: T(20) };
    const first = await bench.batch(NAME, { csv: rows }, before);
    const csv = [row('1', 1, 'a'), row('2', 3, 'newer'), row('3', 1, 'older'), row('5', 5, 'e')];
    csv.push(['6', 'no time', 'false', 'bad']);
    const tombstones = ['4', '9'].map((id) => ({ id, deletedAt: T(9) }));
    const more = { window: windowOf(window), id: 'b2', confirmedAt: T(30) };
    return [first, await bench.batch(NAME, { csv, tombstones }, more)];
  }

  /** Rows and facts without times of loading: what all that took the same batches have in common. */
  async function stateOf(warehouse: Warehouse): Promise<unknown> {
    const select = async (sql: string) => (await warehouse.query(sql, 100)).rows;
    return {
      rows: await select(
        'SELECT id, name, _deleted, _version, _confirmed_at, _hash, _window FROM crm.contact ORDER BY id',
      ),
      facts: await select(
        'SELECT batch, attempt, inserted, updated, unchanged, stale, replaced_by FROM _headwater.batches ORDER BY batch',
      ),
      aside: await select('SELECT record, field, value FROM _headwater.quarantine ORDER BY 1'),
    };
  }

  /** One load through a proxy that cuts, then a replay by somebody else. `stream`: cuts the connection of the stream instead, once. */
  async function attempt(cut: Cut, stream?: { at: number; side: Cut['side'] }) {
    const about = stream === undefined ? cut : { ...stream, side: `${stream.side}-stream` };
    const project = `cut-${about.at}-${about.side}-${cut.forEver ? 'dead' : 'once'}`;
    const direct = await openBigquery(server.endpoint, bench.folder, { project });
    await direct.migrate('crm', NAME, EVOLVE);
    await direct.load(requests[0], signal);
    const proxy = await httpCut(server.endpoint, cut);
    const writes = await cutProxy(server.writeEndpoint);
    if (stream !== undefined) writes.cutAt(stream.at, stream.side);
    const options = { project, writeEndpoint: writes.url };
    const through = await openBigquery(proxy.endpoint, bench.folder, options);
    const outcome = await through.load(requests[1], signal).then(
      () => 'loaded',
      (error: HeadwaterError) => error.code,
    );
    await through.close();
    await proxy.close();
    await writes.close();
    const again = await direct.load(requests[1], signal);
    const state = await stateOf(direct);
    const proof = await direct.verify(requests[1]);
    await direct.close();
    return { outcome, again, state, proof, requests: proxy.requests, chunks: writes.requests };
  }

  async function everywhere(side: Cut['side'], forEver: boolean): Promise<string[]> {
    const outcomes: string[] = [];
    for (let from = 0; from < chosen.length; from += AT_ONCE) {
      const cuts = chosen.slice(from, from + AT_ONCE);
      const results = await Promise.all(cuts.map((at) => attempt({ at, side, forEver })));
      for (const [index, { outcome, state, proof }] of results.entries()) {
        expect([cuts[index], proof]).toEqual([cuts[index], { present: 6, missing: 0 }]);
        expect([cuts[index], state]).toEqual([cuts[index], wanted]);
        outcomes.push(outcome);
      }
    }
    return outcomes;
  }

  test('survives any one request that is lost, on its way there or back', async () => {
    expect([steps > 12, chosen.length > 3]).toEqual([true, true]);
    for (const side of every ? (['request', 'answer'] as const) : (['answer'] as const))
      expect(new Set(await everywhere(side, false))).toEqual(new Set(['loaded']));
  }, 180_000);

  if (window !== 'w2')
    test('survives that the connection of its stream is cut at any point', async () => {
      const calm = { at: 0, side: 'request', forEver: false } as const;
      const { chunks } = await attempt(calm, { at: 1_000, side: 'request' });
      expect(chunks).toBeGreaterThan(5);
      const cuts = Array.from({ length: chunks }, (_, at) => ({ at: at + 1, side: 'answer' as const }));
      if (!ALL) cuts.splice(0, cuts.length, ...cuts.filter(({ at }) => at % 4 === 0));
      for (let from = 0; from < cuts.length; from += AT_ONCE) {
        const some = cuts.slice(from, from + AT_ONCE);
        const results = await Promise.all(some.map((cut) => attempt(calm, cut)));
        for (const [at, { outcome, again, state }] of results.entries())
          expect([some[at], outcome, again.alreadyApplied, state]).toEqual([
            some[at],
            'loaded',
            true,
            wanted,
          ]);
      }
    }, 180_000);

  test('is there once after the worker died behind any of its requests', async () => {
    const outcomes = await everywhere('answer', true);
    expect(new Set(outcomes)).toEqual(new Set(['WAREHOUSE_UNAVAILABLE', 'loaded']));
    // The last requests only tidy up.
    expect(outcomes.lastIndexOf('WAREHOUSE_UNAVAILABLE')).toBeGreaterThan(outcomes.length - 6);
  }, 180_000);
});
