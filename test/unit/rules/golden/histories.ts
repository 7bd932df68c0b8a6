/** Random histories of records in two or three sources, the roads on which they arrive, and random rules. */
import { test } from '@jest/globals';
import * as fc from 'fast-check';
import { canonicalJson } from '../../../../rules/golden/canonical.ts';
import type { Override, Retraction, Version } from '../../../../rules/golden/state.ts';
import type { ClaimFilter, ConflictRules, Criterion, FieldRule } from '../../../../schemas/conflicts.ts';
import type { ClaimValue, RecordRef } from '../../../../schemas/observation.ts';

/** `HEADWATER_HISTORIES=10000` is the nightly run; `HEADWATER_SEED` repeats a failure. */
const RUNS = Number(process.env['HEADWATER_HISTORIES'] ?? 200);
const SEED = Number(process.env['HEADWATER_SEED'] ?? Date.now() % 2 ** 31);
if (RUNS > 200) console.info(`${RUNS} histories per law, HEADWATER_SEED=${SEED}`);

/** A named law; a failure prints its seed and the smallest history that breaks it. */
export function law<Inputs>(name: string, property: fc.IPropertyWithHooks<Inputs>): void {
  test(
    name,
    () => {
      fc.assert(property, { numRuns: RUNS, seed: SEED });
    },
    600_000,
  );
}

const START_MS = Date.parse('2026-11-21T08:00:00.000Z');
export const SKEW_MS = 300_000;
export const SOURCES = ['crm', 'desk', 'shop'];
export const FIELDS = ['city', 'name', 'score', 'street', 'tags'];

/** Seconds after the start, with milliseconds. */
export function at(seconds: number): string {
  return new Date(START_MS + Math.round(seconds * 1_000)).toISOString();
}

export const value: fc.Arbitrary<ClaimValue> = fc.constantFrom<ClaimValue[]>(
  ...[null, '', 'a', 'bb', 'Bb', 'ccc', '007', 7, 1, 2.5, '1.50', '1.5', '-3', '10.25', true, false],
  ...['2026-01-01', '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.5Z', [], ['x'], ['y', 'x']],
);

/** What a source says at one moment; the times are its own and truncated to seconds, so that ties are common. */
interface Edit {
  second: number;
  fields: Record<string, ClaimValue>;
  deleted: boolean;
  /** The clock of the source is wrong by so much. */
  ahead: number;
  timed: boolean;
  inferred: string[];
}

const edit: fc.Arbitrary<Edit> = fc.record({
  second: fc.integer({ min: 0, max: 8 }),
  fields: fc.dictionary(fc.constantFrom(...FIELDS), value, { noNullPrototype: true, maxKeys: 5 }),
  deleted: fc.constant(false),
  ahead: fc.constantFrom(0, 0, 0, 0, 5_000, 90_000_000),
  timed: fc.constantFrom(false, false, true),
  inferred: fc.subarray(FIELDS, { maxLength: 2 }),
});

/** The same content has the same id, whatever the road. */
function versionOf(
  source: string,
  made: Edit,
  version: string,
  firstSeen: number,
  confirmed: number,
): Version {
  const stamp = at(made.second + made.ahead);
  const content = {
    source,
    stamp,
    version,
    deleted: made.deleted,
    fields: made.fields,
    inferred: made.inferred,
  };
  const read = Object.keys(made.fields);
  return {
    id: `o${hash(canonicalJson({ ...content, timed: made.timed }))}`,
    seq: firstSeen,
    stamp,
    version,
    firstSeen: at(firstSeen),
    confirmedAt: at(confirmed),
    deleted: made.deleted,
    fields: made.fields,
    ...(made.timed && {
      times: Object.fromEntries(
        read.slice(0, 2).map((field) => [field, at(made.second - (made.second % 3))]),
      ),
    }),
    ...(made.inferred.length > 0 && {
      inferred: Object.fromEntries(made.inferred.map((field, index) => [field, 0.4 + index / 4])),
    }),
  };
}

function hash(text: string): string {
  let sum = 7;
  for (const letter of text) sum = (Math.imul(sum, 31) + (letter.codePointAt(0) ?? 0)) >>> 0;
  return sum.toString(36);
}

/** Every version on one to three roads: each road sees it at its own time, as poll, webhook and backfill do. */
const deliveries = (source: string): fc.Arbitrary<Version[]> =>
  fc
    .array(
      fc.record({
        made: fc.oneof({ weight: 6, arbitrary: edit }, { weight: 1, arbitrary: edit.map(asDeletion) }),
        version: fc.constantFrom('', '', '1', '2'),
        roads: fc.array(fc.tuple(fc.constantFrom(0, 3, 9, 30), fc.constantFrom(4, 8)), {
          minLength: 1,
          maxLength: 3,
        }),
      }),
      { minLength: 1, maxLength: 6 },
    )
    .map((all) =>
      all.flatMap(({ made, version, roads }) =>
        roads.map(([firstSeen, confirmed]) => versionOf(source, made, version, firstSeen, confirmed)),
      ),
    );

function asDeletion(made: Edit): Edit {
  return { ...made, deleted: true };
}

export interface RecordHistory {
  ref: RecordRef;
  deliveries: Version[];
  retractions: Retraction[];
}

const retractionsFor = (versions: readonly Version[]): fc.Arbitrary<Retraction[]> => {
  const runs = versions.flatMap(({ fields, stamp }) =>
    Object.entries(fields).map(([field, taken]) => ({ field, value: canonicalJson(taken), runStart: stamp })),
  );
  if (runs.length === 0) return fc.constant([]);
  const one = fc.tuple(fc.constantFrom(...runs), fc.boolean()).map(([run, hold]) => ({ ...run, hold }));
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant<Retraction[]>([]) },
    { weight: 1, arbitrary: fc.array(one, { maxLength: 2 }) },
  );
};

const recordHistory = (source: string, record: string): fc.Arbitrary<RecordHistory> =>
  deliveries(source).chain((all) =>
    retractionsFor(all).map((retractions) => ({
      ref: { source, object: 'Contact', record },
      deliveries: all,
      retractions,
    })),
  );

/** Up to two records in each of two or three sources. */
export const history: fc.Arbitrary<RecordHistory[]> = fc
  .tuple(fc.subarray(SOURCES, { minLength: 2 }), fc.boolean())
  .chain(([sources, twice]) =>
    fc.tuple(
      ...sources.map((source) => recordHistory(source, '1')),
      ...(twice ? [recordHistory(sources[0] ?? 'crm', '2')] : []),
    ),
  );

const criterion: fc.Arbitrary<Criterion> = fc.oneof(
  fc.constantFrom<Criterion[]>(
    ...(['latest', 'earliest', 'nonBlank', 'longest', 'confidence', 'frequency', 'max', 'min'] as const).map(
      (by) => ({ by }),
    ),
    { by: 'kind' },
  ),
  fc
    .subarray(SOURCES, { minLength: 1 })
    .map((order): Criterion => ({ by: 'source', order: order.toReversed() })),
);

const filter: fc.Arbitrary<ClaimFilter> = fc.record(
  {
    sources: fc.subarray(SOURCES, { minLength: 1 }),
    kinds: fc.subarray(['explicit' as const, 'inferred' as const], { minLength: 1 }),
    maxAgeMs: fc.integer({ min: 1_000, max: 20_000 }),
  },
  { requiredKeys: [] },
);

const sharedParts = fc
  .tuple(
    fc.option(fc.array(filter, { minLength: 1, maxLength: 3 })),
    fc.constantFrom('skip' as const, 'clears' as const),
    fc.constantFrom('stable' as const, 'review' as const),
  )
  .map(([where, blank, onTie]) => ({ ...(where && { where }), blank, onTie }));

export const preferRule: fc.Arbitrary<Extract<FieldRule, { prefer: unknown }>> = fc
  .tuple(sharedParts, fc.array(criterion, { minLength: 1, maxLength: 4 }))
  .map(([rest, prefer]) => ({ ...rest, prefer }));

const combineRule: fc.Arbitrary<FieldRule> = fc
  .tuple(
    sharedParts,
    fc.constantFrom(...(['union', 'sum', 'any', 'all', 'max', 'min'] as const)),
    fc.option(fc.integer({ min: 1, max: 3 })),
  )
  .map(([rest, combine, limit]) => ({ ...rest, combine, ...(limit !== null && { limit }) }));

export const conflictRules: fc.Arbitrary<ConflictRules> = fc
  .record({
    defaults: preferRule,
    fields: fc.dictionary(fc.constantFrom('name', 'score', 'tags'), fc.oneof(preferRule, combineRule), {
      noNullPrototype: true,
    }),
    address: fc.option(preferRule),
    grouped: fc.boolean(),
    golden: fc.constantFrom('all' as const, 'any' as const),
    undelete: fc.constantFrom('newer-wins' as const, 'never' as const),
  })
  .map(({ defaults, fields, address, grouped, golden, undelete }) => ({
    profile: 'contact',
    clock: { maxSkewMs: SKEW_MS },
    defaults,
    fields: { ...fields, ...(grouped && address && { address }) },
    groups: grouped ? { address: ['street', 'city'] } : {},
    deletes: { golden, undelete },
  }));

const override = fc
  .tuple(fc.constantFrom('name', 'city', 'note'), value, fc.integer({ min: 1, max: 9 }))
  .map(([field, said, seq]): Override => ({ field, value: said, id: `v${seq}`, seq, at: at(seq) }));

export const overrides: fc.Arbitrary<Override[]> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Override[]>([]) },
  { weight: 1, arbitrary: fc.uniqueArray(override, { maxLength: 3, selector: ({ id }) => id }) },
);

/** The same deliveries in another order, some of them again. */
export function rearranged(all: readonly RecordHistory[]): fc.Arbitrary<RecordHistory[]> {
  const orders = all.map((one) =>
    fc
      .tuple(
        fc.shuffledSubarray(one.deliveries, { minLength: one.deliveries.length }),
        fc.subarray(one.deliveries),
        fc.shuffledSubarray(one.retractions, { minLength: one.retractions.length }),
      )
      .map(([order, again, retractions]) => ({ ...one, deliveries: [...again, ...order], retractions })),
  );
  return fc.tuple(...orders).chain((records) => fc.shuffledSubarray(records, { minLength: records.length }));
}
