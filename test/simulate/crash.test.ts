/** Workers and the Temporal server are killed at every boundary of the steps; an oracle then compares warehouse and org. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Failpoint } from '../../activities/failpoints.ts';
import { randomOf, shuffled } from '../support/random.ts';
import { openPipeline, type Pipeline, type SyncEnd } from '../support/pipeline.ts';
import { withTemporal, type TestTemporal } from '../support/temporal.ts';

/** HEADWATER_SEED begins elsewhere, to repeat a failure. */
const SEEDS = Array.from(
  { length: process.env['HEADWATER_TEST_ALL'] === '1' ? 20 : 5 },
  (_, index) => index + Number(process.env['HEADWATER_SEED'] ?? 1),
);
/** A killed worker is noticed after the heartbeat timeout. */
const TUNING = { heartbeatMs: 2_000, retryMs: 50 };
const CAMPAIGNS_AT_ONCE = 3;
const CAMPAIGNS_MS_MAX = 600_000;
/** A run that goes on after a kill may be past the boundary already. */
const RUNS_UNTIL_HIT_MAX = 3;

const FAILPOINTS: Failpoint[] = [
  'plan:opened',
  'plan:settled',
  'plan:stored',
  'extract:page',
  'extract:committed',
  'shape:done',
  'prove:done',
  'load:done',
  'commit:interval',
  'commit:done',
];

/** One window in one slice by REST; several slices by Bulk, each of its own activities. */
const PATHS = {
  rest: { thresholds: { restPageRows: 200, bulkRowsMin: 100_000 } },
  bulk: { thresholds: { bulkRowsMin: 20, bulkPageRowsMax: 120, sliceRowsTarget: 250 } },
};

let temporal: TestTemporal;
const killed = new Set<Failpoint>();

/** Everything that must hold after any fault: equal rows, no key twice, no gap, every window proven and landed. */
async function expectSound(pipeline: Pipeline): Promise<void> {
  expect(await pipeline.oracle('Contact')).toEqual([]);
  expect(await pipeline.oracle('Account')).toEqual([]);
  const coverage = await pipeline.ledger(async (ledger) => ({
    source: await ledger.coverage('crm', 'Contact'),
    sink: await ledger.sinkCoverage('duckdb', 'crm', 'Contact'),
    open: await ledger.openWindows('crm'),
    undelivered: await ledger.undelivered('duckdb', 'crm'),
    windows: await ledger.windows({ connection: 'crm', limit: 1_000 }),
    state: await ledger.sinkState('duckdb'),
  }));
  expect(coverage.source).toHaveLength(1);
  expect(coverage.sink).toEqual(coverage.source);
  expect([coverage.open, coverage.undelivered]).toEqual([[], []]);
  const verdicts = new Set(coverage.windows.map((window) => window.receipt?.verdict));
  expect([...verdicts].filter((verdict) => verdict !== 'proven' && verdict !== 'moved')).toEqual([]);
  const [sink] = await pipeline.rows('SELECT epoch, seq::INTEGER AS seq FROM _headwater.sink');
  expect(sink).toEqual(coverage.state);
  const doubled = await pipeline.rows(
    'SELECT count(*)::INTEGER AS windows FROM (SELECT "window" FROM _headwater.intervals GROUP BY 1 HAVING count(*) > 1)',
  );
  expect(doubled).toEqual([{ windows: 0 }]);
}

async function untilSettled(end: Promise<SyncEnd>, worker: Promise<string>): Promise<SyncEnd | undefined> {
  return Promise.race([end, worker.then(() => undefined)]);
}

/** Half of the boundaries, each pair of seeds all of them, in a random order. */
function boundariesOf(seed: number): Failpoint[] {
  const all = shuffled(FAILPOINTS, randomOf(Math.ceil(seed / 2)));
  const half = all.length / 2;
  return seed % 2 === 1 ? all.slice(0, half) : all.slice(half);
}

/** Dies at each boundary, in the middle of edits; each next worker goes on where the last one was killed. */
async function campaign(seed: number): Promise<void> {
  const random = randomOf(seed);
  const pipeline = await openPipeline(temporal, {
    sandbox: { objects: { Contact: 600, Account: 40 }, seed, stampTies: seed % 3 === 0 ? 50 : 1 },
    connection: { objects: ['Contact', 'Account'], ...(seed % 3 === 1 ? PATHS.rest : PATHS.bulk) },
  });
  try {
    for (const failpoint of boundariesOf(seed)) {
      const nth = failpoint.startsWith('extract:') ? 1 + Math.floor(random() * 3) : 1;
      const worker = await pipeline.start({ HEADWATER_FAILPOINT: `${failpoint}:${nth}` });
      for (let runs = 0; runs < RUNS_UNTIL_HIT_MAX; runs += 1) {
        const end = await untilSettled(pipeline.sync({ tuning: TUNING }), worker.ended);
        if (end === undefined) break;
        expect([failpoint, end.outcome, end.message]).toEqual([failpoint, 'ok', '']);
        edit(pipeline, failpoint, random);
      }
      if ((await Promise.race([worker.ended, Promise.resolve('')])) === 'SIGKILL') killed.add(failpoint);
      edit(pipeline, failpoint, random);
    }
    await pipeline.start();
    for (let run = 0; run < 2; run += 1) {
      const end = await pipeline.sync({ tuning: TUNING });
      expect([end.outcome, end.message]).toEqual(['ok', '']);
      pipeline.pass();
    }
    await expectSound(pipeline);
  } finally {
    await pipeline.close();
  }
}

/** An empty window is needed to die between its two commits; any other boundary needs rows. */
function edit(pipeline: Pipeline, failpoint: Failpoint, random: () => number): void {
  if (failpoint !== 'plan:settled') pipeline.sandbox.living.run(60 + Math.floor(random() * 200));
  pipeline.pass(failpoint === 'plan:settled' ? 3_600_000 : 30_000 + Math.floor(random() * 600_000));
}

/** They wait for timeouts most of the time: a few at once keep two cores busy. */
function runAll(seeds: readonly number[]): Map<number, Promise<void>> {
  const ends = new Map<number, Promise<void>>();
  const lanes: Promise<unknown>[] = Array.from({ length: CAMPAIGNS_AT_ONCE }, () => Promise.resolve());
  for (const [index, seed] of seeds.entries()) {
    const lane = index % CAMPAIGNS_AT_ONCE;
    const end = (lanes[lane] ?? Promise.resolve()).then(() => campaign(seed));
    lanes[lane] = end.catch(() => {});
    ends.set(seed, end);
  }
  return ends;
}

let ends = new Map<number, Promise<void>>();
beforeAll(async () => {
  temporal = await withTemporal();
  ends = runAll(SEEDS);
}, 120_000);
afterAll(() => temporal.stop());

test.each(SEEDS)(
  'seed %i: workers are killed at boundaries of the steps, the next ones finish their work',
  async (seed) => ends.get(seed),
  CAMPAIGNS_MS_MAX,
);

test('every boundary was hit', () => {
  expect(FAILPOINTS.filter((failpoint) => !killed.has(failpoint))).toEqual([]);
});
