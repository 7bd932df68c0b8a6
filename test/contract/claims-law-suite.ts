import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Observation, Via } from '../../schemas/observation.ts';
import { cause, email, goldenText, minute, rules, seen, type ClaimsFactory } from './claims-fixture.ts';

const RUNS = 40;
const VIAS: Via[] = ['poll', 'webhook', 'backfill', 'api'];
/** After every stamp, so that no clock is ahead. */
const SEEN_AT = 1_000;

const value = fc.constantFrom('x', 'y', 'z', '', null, 3, true);
/** null: read, and empty; undefined: not read. */
const address = fc.constantFrom('p@x.org', 'p@x.org', 'q@x.org', 'r@x.org', null, undefined);

/** Few records, stamps and values, so that they meet often. */
const observation: fc.Arbitrary<Observation> = fc
  .record({
    source: fc.constantFrom('a', 'b', 'c'),
    record: fc.constantFrom('1', '2', '3'),
    stamp: fc.integer({ min: 1, max: 6 }),
    version: fc.constantFrom('', '1', '2'),
    fields: fc.record(
      { name: value, city: value, tags: fc.uniqueArray(fc.constantFrom('t', 'u')) },
      { requiredKeys: [] },
    ),
    email: address,
    deleted: fc.integer({ min: 0, max: 6 }).map((pick) => pick === 0),
    mergedInto: fc.option(fc.constantFrom('1', '2'), { nil: undefined, freq: 12 }),
    confirmed: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ source, record, stamp, version, fields, email, deleted, mergedInto, confirmed }) => {
    const given = deleted ? {} : { ...fields, ...(email === undefined ? {} : { email }) };
    return seen(source, record, stamp, given, {
      version,
      deleted,
      confirmedAt: minute(stamp + confirmed),
      ...(mergedInto === undefined ? {} : { mergedInto }),
    });
  });

interface History {
  observations: Observation[];
  /** One way for them to arrive: places in the list (some twice), cut into batches. */
  order: number[];
  sizes: number[];
  vias: Via[];
}

const history: fc.Arbitrary<History> = fc
  .array(observation, { minLength: 1, maxLength: 16, size: 'max' })
  .chain((observations) => {
    const indices = observations.map((_, index) => index);
    return fc.record({
      observations: fc.constant(observations),
      order: fc
        .tuple(
          fc.shuffledSubarray(indices, { minLength: indices.length }),
          fc.array(fc.constantFrom(...indices), { maxLength: 6 }),
        )
        .map(([all, again]) => [...all, ...again]),
      sizes: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 10 }),
      vias: fc.array(fc.constantFrom(...VIAS), { minLength: 1, maxLength: 5 }),
    });
  });

const MIXED = rules({
  fields: {
    city: { prefer: [{ by: 'source', order: ['b', 'a'] }, { by: 'latest' }], blank: 'clears' },
    tags: { combine: 'union' },
  },
});

/** I1, on the whole store. */
export function claimsLawSuite(factory: ClaimsFactory): void {
  crowdLaw(factory);
  largeBatchTest(factory);
  movedAddressTest(factory);
  describe(`${factory.name}: golden values depend on the set of observations alone`, () => {
    test.each([
      ['without limits', {}],
      ['with an address that may be shared by two', { recordsMaxDefault: 2 }],
      ['with profiles of three records at most', { clusterMax: 3 }],
    ])('%s', async (_, guards) => {
      await fc.assert(
        fc.asyncProperty(history, async (given) => {
          const at = { rules: new Map([['contact', MIXED]]), guards };
          const plain = await outcome(factory, at, given.observations, [given.observations.length], ['poll']);
          const arrived = given.order.flatMap((index) => given.observations[index] ?? []);
          const other = await outcome(factory, at, arrived, given.sizes, given.vias);
          expect(other.golden).toBe(plain.golden);
          expect(other.verified).toBe(true);
        }),
        { numRuns: RUNS },
      );
    });
  });
}

interface Crowd {
  /** Addresses of each record; every record has one version. */
  records: string[][];
  order: number[];
  size: number;
  limit: number;
}

/** More records to an address than it may have, in every number around the limit. */
const crowd: fc.Arbitrary<Crowd> = fc
  .array(fc.subarray(['p@x.org', 'q@x.org', 'r@x.org'], { minLength: 1, maxLength: 2 }), {
    minLength: 3,
    maxLength: 9,
    size: 'max',
  })
  .chain((records) =>
    fc.record({
      records: fc.constant(records),
      order: fc.shuffledSubarray(
        records.map((_, index) => index),
        { minLength: records.length },
      ),
      size: fc.integer({ min: 1, max: 4 }),
      limit: fc.integer({ min: 2, max: 4 }),
    }),
  );

/** What hangs together by addresses that no more than `limit` records have: written anew, not with the store's own code. */
function together({ records, limit }: Crowd): string[] {
  const group = records.map((_, index) => index);
  for (const address of ['p@x.org', 'q@x.org', 'r@x.org']) {
    const holders = group
      .keys()
      .filter((index) => records[index]?.includes(address) === true)
      .toArray();
    if (holders.length > limit) continue;
    const joined = new Set(holders.map((index) => group[index] ?? index));
    const to = Math.min(...joined);
    for (const [index, of] of group.entries()) if (joined.has(of)) group[index] = to;
  }
  const members = Map.groupBy(group.keys(), (index) => group[index] ?? index);
  return [...members.values()].map((some) => some.join(' ')).toSorted();
}

/** Found by the law below in one history of some three thousand: whom the first address had linked stayed with the others. */
function movedAddressTest(factory: ClaimsFactory): void {
  test(`${factory.name}: I1: an address exchanged for an older profile's leaves nobody behind in it`, async () => {
    const rows = [
      seen('b', '2', 6, { email: 'q@x.org' }),
      seen('c', '2', 6, { email: 'p@x.org' }),
      seen('a', '2', 5, { email: 'p@x.org' }),
      seen('c', '2', 7, { email: 'q@x.org' }),
    ];
    const at = { rules: new Map([['contact', rules()]]) };
    for (const size of [1, 2, 3, 4]) {
      const { golden } = await outcome(factory, at, rows, [size], ['poll']);
      const members = golden.split('\n').map((line) => /"refs":\[(.*?)\]/.exec(line)?.[1]);
      expect(members).toEqual(['"a:2:false"', '"b:2:false","c:2:false"']);
    }
  });
}

/** Rows of a large batch are hashed and sealed ahead of the store, as if each were new. */
function largeBatchTest(factory: ClaimsFactory): void {
  test(`${factory.name}: a large batch gives what its rows give in small ones`, async () => {
    // New, repeated and changed in the same batch; pairs share an address.
    const rows = Array.from({ length: 1_600 }, (_, index) =>
      seen(index % 2 === 0 ? 'a' : 'b', `${(index >> 1) % 600}`, 1 + Math.floor(index / 1_300), {
        email: `p${(index >> 1) % 600}@x.org`,
        name: `Name ${index % 7}`,
      }),
    );
    const at = { rules: new Map([['contact', rules()]]) };
    const vias: Via[] = ['poll'];
    const small = await outcome(factory, at, rows, [90], vias);
    const large = await outcome(factory, at, rows, [100, 1_500], vias);
    expect(large.golden).toBe(small.golden);
    expect([large.verified, small.verified]).toEqual([true, true]);
  });
}

/** I1: an address that too many have links nobody, and takes those apart that it had linked. */
function crowdLaw(factory: ClaimsFactory): void {
  test(`${factory.name}: profiles are what shared addresses within the limit make, in any order`, async () => {
    await fc.assert(
      fc.asyncProperty(crowd, async (given) => {
        const store = await factory.create();
        const claims = await store.open({ guards: { recordsMaxDefault: given.limit } });
        try {
          for (let from = 0; from < given.order.length; from += given.size) {
            const part = given.order.slice(from, from + given.size);
            const observations = part.map((index) => {
              const identifiers = (given.records[index] ?? []).map(email);
              return seen('a', `${index}`, 1, { name: 'x' }, { identifiers });
            });
            await claims.apply({ id: null, observations, cause: cause(SEEN_AT) });
          }
          const found = await claims.profiles({ limit: 100 });
          const members = found.map(({ records }) =>
            records
              .map(({ record }) => record)
              .toSorted()
              .join(' '),
          );
          expect(members.toSorted()).toEqual(together(given));
        } finally {
          await claims.close();
          await store.destroy();
        }
      }),
      { numRuns: RUNS },
    );
  });
}

async function outcome(
  factory: ClaimsFactory,
  at: object,
  observations: Observation[],
  sizes: number[],
  vias: Via[],
): Promise<{ golden: string; verified: boolean }> {
  const store = await factory.create();
  const claims = await store.open(at);
  try {
    for (let from = 0, turn = 0; from < observations.length; turn += 1) {
      const size = sizes[turn % sizes.length] ?? 1;
      const via = vias[turn % vias.length] ?? 'poll';
      const part = observations.slice(from, from + size);
      const receipt = await claims.apply({
        id: via === 'webhook' ? null : `b${turn}`,
        observations: part,
        cause: cause(SEEN_AT, { via }),
      });
      // I2: nothing is lost.
      expect(receipt.observed + receipt.known + receipt.suppressed).toBe(part.length);
      from += size;
    }
    return { golden: await goldenText(claims), verified: (await claims.verify()).ok };
  } finally {
    await claims.close();
    await store.destroy();
  }
}
