import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { auditRunSchema } from '../../../schemas/audit.ts';
import {
  auditBuckets,
  countVerdict,
  differingIds,
  halves,
  judge,
  looksBroken,
  NOT_ROTATED,
  objectsPerRun,
  rotated,
  rowsPerRun,
  ROWS_PER_RUN_MAX,
  type Compared,
  type SourceVersion,
  type WarehouseVersion,
} from '../../../rules/drift.ts';
import { ORIGIN } from '../../../schemas/instant.ts';

const UNTIL = '2026-11-21T09:00:00.000Z';
const DAY_MS = 86_400_000;
const stampAt = (minute: number) => new Date(Date.parse(UNTIL) - minute * 60_000).toISOString();

/** A source of up to 30 records before the checkpoint, each alive or marked deleted. */
const world = fc.uniqueArray(
  fc.record({
    id: fc.integer({ min: 1, max: 60 }).map((id) => `r${id}`),
    stamp: fc.integer({ min: 1, max: 500 }).map(stampAt),
    deleted: fc.boolean(),
  }),
  { selector: ({ id }) => id, maxLength: 30 },
);

const copyOf = (source: readonly SourceVersion[]): WarehouseVersion[] =>
  source.map(({ id, stamp, deleted }) => ({ record: id, version: stamp, deleted }));

describe('buckets', () => {
  test('they cover everything before the checkpoint, without gap or overlap', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0001-01-02'), max: new Date('3000-01-01'), noInvalidDate: true }),
        (date) => {
          const until = date.toISOString();
          const buckets = auditBuckets(until);
          expect(buckets[0]?.from).toBe(ORIGIN);
          expect(buckets.at(-1)?.until).toBe(until);
          for (const [index, bucket] of buckets.entries()) {
            expect(bucket.from < bucket.until).toBe(true);
            if (index > 0) expect(bucket.from).toBe(buckets[index - 1]?.until);
          }
        },
      ),
    );
  });

  test('halves are the bucket, and cutting ends', () => {
    let part = { from: ORIGIN, until: UNTIL };
    let cuts = 0;
    for (let cut = halves(part, stampAt(1_000)); cut !== null; cut = halves(part, part.from)) {
      expect([cut[0].from, cut[0].until, cut[1].until]).toEqual([part.from, cut[1].from, part.until]);
      [, part] = cut;
      cuts += 1;
    }
    expect(cuts).toBeGreaterThan(10);
    expect(cuts).toBeLessThan(50);
  });
});

describe('counts', () => {
  const none = { changed: 0, aside: 0 };
  test.each([
    ['equal', { source: 10, all: 10, alive: 10 }, none, 'agrees'],
    ['a tombstone of a record that the source has erased', { source: 9, all: 10, alive: 9 }, none, 'agrees'],
    ['deleted, and still in the source', { source: 10, all: 10, alive: 8 }, none, 'agrees'],
    ['a row is missing', { source: 10, all: 9, alive: 9 }, none, 'short'],
    ['a row was set aside', { source: 10, all: 9, alive: 9 }, { changed: 0, aside: 1 }, 'agrees'],
    ['a row is kept', { source: 9, all: 10, alive: 10 }, none, 'over'],
    ['a row has changed since', { source: 9, all: 10, alive: 10 }, { changed: 1, aside: 0 }, 'agrees'],
    ['nobody knows', { source: 'unknown' as const, all: 1, alive: 1 }, none, 'unknown'],
  ])('%s', (_, count, slack, verdict) => expect(countVerdict(count, slack)).toBe(verdict));

  test('whatever changes, leaves and is set aside, a faithful copy never contradicts its source', () => {
    fc.assert(
      fc.property(
        world,
        fc.nat({ max: 5 }),
        fc.nat({ max: 5 }),
        fc.nat({ max: 5 }),
        (source, erased, moved, bad) => {
          const left = source.slice(moved);
          const held = copyOf(source).slice(0, Math.max(0, source.length - bad));
          const count = {
            source: left.length,
            all: held.length + erased,
            alive: held.filter(({ deleted }) => !deleted).length,
          };
          expect(countVerdict(count, { changed: moved, aside: bad })).toBe('agrees');
        },
      ),
    );
  });

  test('I6: less than half is a broken source', () => {
    expect(looksBroken(49, 0, 100)).toBe(true);
    expect(looksBroken(50, 0, 100)).toBe(false);
    expect(looksBroken(10, 45, 100)).toBe(false);
    expect(looksBroken('unknown', 0, 100)).toBe(false);
  });
});

describe('ids and stamps', () => {
  test('a faithful copy has nothing to look at', () => {
    fc.assert(fc.property(world, (source) => expect(differingIds(source, copyOf(source))).toEqual([])));
  });

  test('tombstones beside it change nothing: of erased records, and of those that never landed alive', () => {
    fc.assert(
      fc.property(world, (source) => {
        const held = copyOf(source.filter(({ deleted }) => !deleted));
        const more = [...held, { record: 'erased', version: stampAt(3), deleted: true }];
        expect(differingIds(source, more)).toEqual([]);
      }),
    );
  });

  /** Each way in which a copy can be wrong is noticed, wherever it happens and whatever else is there. */
  test.each([
    ['dropped', (held: WarehouseVersion[], at: number) => held.toSpliced(at, 1)],
    [
      'older',
      (held: WarehouseVersion[], at: number) => held.with(at, { ...one(held, at), version: stampAt(900) }),
    ],
    [
      'wrongly deleted',
      (held: WarehouseVersion[], at: number) => held.with(at, { ...one(held, at), deleted: true }),
    ],
    [
      'kept',
      (held: WarehouseVersion[], at: number) =>
        held.with(at, { ...one(held, at), record: 'kept', deleted: false }),
    ],
  ])('%s', (_, damage) => {
    fc.assert(
      fc.property(world, fc.nat(), (source, seed) => {
        const alive = source.map((version) => ({ ...version, deleted: false }));
        fc.pre(alive.length > 0);
        const at = seed % alive.length;
        const found = differingIds(alive, damage(copyOf(alive), at));
        expect(found).toContain(alive[at]?.id);
      }),
    );
  });

  function one(held: readonly WarehouseVersion[], at: number): WarehouseVersion {
    const found = held[at];
    if (found === undefined) throw new Error(`there is no row ${at}`);
    return found;
  }
});

describe('the judge', () => {
  const same = (record: string, version = stampAt(5)): Compared => ({
    record,
    state: 'same',
    version,
    columns: [],
  });
  const look = (more: Partial<Parameters<typeof judge>[0]>) =>
    judge({ asked: ['a'], compared: [same('a')], held: [], changed: new Set(), until: UNTIL, ...more });

  test('equal rows agree', () => expect(look({})).toEqual({ findings: [], agreeing: ['a'] }));

  test.each(['missing', 'outdated', 'kept', 'lost', 'altered'] as const)('%s is drift', (state) => {
    const found = look({ compared: [{ ...same('a'), state, columns: ['Name'] }] });
    expect(found.findings).toEqual([{ record: 'a', kind: state, fields: ['Name'] }]);
  });

  test.each(['newer', 'aside'] as const)('%s is none', (state) =>
    expect(look({ compared: [{ ...same('a'), state }] }).findings).toEqual([]),
  );

  test('gone in the source and alive here is kept; deleted here, or never here, is not', () => {
    const alive = { record: 'a', version: stampAt(5), deleted: false };
    expect(look({ compared: [], held: [alive] }).findings).toEqual([
      { record: 'a', kind: 'kept', fields: [] },
    ]);
    expect(look({ compared: [], held: [{ ...alive, deleted: true }] }).findings).toEqual([]);
    expect(look({ compared: [], held: [] }).findings).toEqual([]);
  });

  test('what changed since the checkpoint is never drift', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('missing', 'outdated', 'kept', 'lost', 'altered'),
        fc.boolean(),
        (state, named) => {
          const compared: Compared[] = [{ ...same('a', named ? stampAt(5) : UNTIL), state }];
          const held = [{ record: 'b', version: stampAt(5), deleted: false }];
          const changed = new Set(named ? ['a', 'b'] : ['b']);
          expect(look({ asked: ['a', 'b'], compared, held, changed }).findings).toEqual([]);
        },
      ),
    );
  });
});

describe('the rotation', () => {
  const policy = { everyMs: 3_600_000, fullPassMs: 7 * DAY_MS, quotaShareMax: 0.05 };

  test('a pass ends within its period, whatever the number of rows', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 5_000_000 }),
        fc.option(fc.integer({ min: 1, max: 1_000_000 })),
        (rows, limit) => {
          const { rowsMax, periodMs } = rowsPerRun(
            rows,
            policy,
            limit === null ? null : { limit, objects: 3 },
          );
          expect(rowsMax).toBeLessThanOrEqual(ROWS_PER_RUN_MAX);
          expect((periodMs / policy.everyMs) * rowsMax).toBeGreaterThanOrEqual(rows);
          if (limit === null && rows < ROWS_PER_RUN_MAX * 100)
            expect(periodMs).toBeLessThanOrEqual(policy.fullPassMs);
        },
      ),
    );
  });

  test('a small quota makes it slower, and says so', () => {
    const fast = rowsPerRun(1_000_000, policy, { limit: 1_000_000, objects: 1 });
    const slow = rowsPerRun(1_000_000, policy, { limit: 1_000, objects: 1 });
    expect(fast.periodMs).toBe(7 * DAY_MS);
    expect(slow.periodMs).toBeGreaterThan(fast.periodMs);
  });

  test('many objects share the quota: some now, the others in the next audits', () => {
    expect(objectsPerRun(200, policy, 100_000)).toBe(13);
    expect(objectsPerRun(7, policy, 100_000)).toBe(7);
    expect(objectsPerRun(7, policy, 10)).toBe(1);
    expect(objectsPerRun(200, policy, null)).toBe(200);
  });

  test('it goes round: the last piece ends the pass and begins the next one', () => {
    const first = rotated(NOT_ROTATED, { until: stampAt(500), whole: false, at: stampAt(9), periodMs: 2 });
    expect(first).toEqual({ cursor: stampAt(500), passBegan: stampAt(9), lastFullPass: null, periodMs: 2 });
    const last = rotated(first, { until: UNTIL, whole: true, at: stampAt(8), periodMs: 3 });
    expect(last).toEqual({ cursor: ORIGIN, passBegan: null, lastFullPass: stampAt(8), periodMs: 3 });
  });
});

test('a run reads back as it was written', () => {
  const run = {
    connection: 'crm',
    workflowId: 'w',
    runId: 'r',
    outcome: 'ok',
    startedAt: UNTIL,
    endedAt: null,
    objects: [],
  };
  expect(auditRunSchema.parse(JSON.parse(JSON.stringify(run)))).toEqual(run);
});
