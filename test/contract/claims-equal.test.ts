import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Claims } from '../../stores/claims/claims.ts';
import { openPostgresClaims } from '../../stores/claims/postgres.ts';
import { openSqliteClaims } from '../../stores/claims/sqlite.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { cause, masterKey, minute, options, rules, seen } from './claims-fixture.ts';

const RUNS = 60;
const ALL = 1_000;

let postgres: TestPostgres;
beforeAll(async () => {
  // Nothing here is about power losses.
  postgres = await startPostgres(['-c', 'fsync=off']);
}, 60_000);
afterAll(async () => {
  await postgres.stop();
});

const observation = fc
  .record({
    source: fc.constantFrom('a', 'b', 'c'),
    record: fc.constantFrom('1', '2', '3'),
    stamp: fc.integer({ min: 1, max: 6 }),
    name: fc.constantFrom('x', 'y', '', null, 3, true, 'Zoë', 'O\'Brien \\ "{,}'),
    city: fc.constantFrom('x', 'y', null),
    email: fc.constantFrom('p@x.org', 'q@x.org', 'r@x.org', null),
    deleted: fc.boolean(),
    mergedInto: fc.option(fc.constantFrom('1', '2'), { nil: undefined, freq: 8 }),
    confirmed: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ source, record, stamp, name, city, email, deleted, mergedInto, confirmed }) => {
    const fields = deleted ? {} : { name, city, ...(email === null ? {} : { email }) };
    return seen(source, record, stamp, fields, {
      deleted,
      confirmedAt: minute(stamp + confirmed),
      ...(mergedInto === undefined ? {} : { mergedInto }),
    });
  });

/** What an operator does between the batches; the profile is the one of this record, when there is one. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.array(observation, { minLength: 1, maxLength: 6 }).map((rows) => ({ rows })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('override', 'rollback', 'release', 'erase').map((action) => ({ action })),
  },
);

const alive = (source: string, record: string, email: string, city = 'x') =>
  seen(source, record, 1, { name: 'x', city, email }, { confirmedAt: minute(1) });
const gone = (source: string, record: string) =>
  seen(source, record, 1, {}, { deleted: true, confirmedAt: minute(1) });
const [P, R] = ['p@x.org', 'r@x.org'];
/** Each was found by chance and showed the order in which a database happened to answer. */
const FOUND_BEFORE: [Parameters<typeof play>[1]][] = [
  // Tombstones of several aliases.
  [
    [
      { rows: [alive('a', '1', P), gone('a', '2'), gone('b', '1')] },
      { rows: [alive('b', '1', P), alive('a', '2', P)] },
      { action: 'erase' },
      { rows: [alive('a', '1', P)] },
    ],
  ],
  // Records of a profile as it was.
  [
    [
      { rows: [alive('b', '2', P)] },
      { rows: [alive('b', '1', P), alive('a', '1', R), alive('c', '3', P)] },
      { rows: [alive('c', '3', R)] },
      { rows: [alive('a', '1', P)] },
    ],
  ],
  // Contested profiles of one event.
  [
    [
      { rows: [alive('a', '1', P)] },
      { rows: [alive('a', '2', R)] },
      { rows: [alive('a', '1', P, 'y'), alive('c', '1', R, 'y'), alive('b', '1', P)] },
    ],
  ],
];

async function play(claims: Claims, steps: (typeof step extends fc.Arbitrary<infer T> ? T : never)[]) {
  const told: unknown[] = [];
  for (const [index, one] of steps.entries()) {
    const at = cause(ALL + index);
    if ('rows' in one) {
      told.push(await claims.apply({ id: `b${index}`, observations: one.rows, cause: at }));
      continue;
    }
    const id = await claims.profileOf({ source: 'a', object: 'Contact', record: '1' });
    if (id === null) continue;
    const done = async () => {
      if (one.action === 'override') return await claims.override(id, 'name', 'said', at);
      if (one.action === 'rollback')
        return await claims.rollback({ profile: id, field: 'city', hold: true }, at);
      if (one.action === 'release') return await claims.release(id, 'name', at);
      return (await claims.erase(id, at)).records;
    };
    told.push(await done().catch((error: unknown) => String(error)));
  }
  return told;
}

/** Everything that a reader can see; public ids belong to one store, so profiles are numbered instead. */
async function seenBy(claims: Claims): Promise<string> {
  const profiles = await claims.profiles({ limit: 100 });
  const parts = {
    profiles,
    // The id of a link is a hash of what it says, and that names a profile.
    events: (await claims.events(0, ALL)).map((event) =>
      event.kind === 'link' || event.kind === 'unlink' ? { ...event, id: '' } : event,
    ),
    outbox: await claims.outbox(0, ALL),
    reviews: await claims.reviews({ limit: 100 }),
    contested: await claims.contested({ limit: 100 }),
    counts: await claims.counts(),
    then: await Promise.all(
      profiles.map(async ({ profile }) => await claims.profile(profile, { asOf: minute(ALL + 1) })),
    ),
  };
  const names = new Map<string, string>();
  return JSON.stringify(parts, null, 1).replaceAll(/p_[0-9a-f]{32}/g, (id) => {
    names.set(id, names.get(id) ?? `profile ${names.size}`);
    return names.get(id) ?? id;
  });
}

test('I1: both back ends give the same profiles, events, outbox and reviews for any history, byte for byte', async () => {
  const root = await mkdtemp(join(tmpdir(), 'claims-equal-'));
  const given = options({
    rules: new Map([
      [
        'contact',
        rules({ fields: { city: { prefer: [{ by: 'source', order: ['b', 'a'] }], onTie: 'review' } } }),
      ],
    ]),
  });
  let made = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      made += 1;
      const path = join(root, `${made}`, 'claims.db');
      const at = { url: postgres.url, schema: postgres.newSchema(), headPath: join(root, `${made}.head`) };
      const stores = [
        await openSqliteClaims({ path, masterKey, ...given }),
        await openPostgresClaims({ ...at, masterKey, ...given }),
      ];
      try {
        const [one, other] = await Promise.all(
          stores.map(async (claims) => ({ told: await play(claims, steps), seen: await seenBy(claims) })),
        );
        expect(other?.told).toEqual(one?.told);
        expect(other?.seen).toBe(one?.seen);
      } finally {
        for (const claims of stores) await claims.close();
      }
    }),
    { numRuns: RUNS, examples: FOUND_BEFORE },
  );
  await rm(root, { recursive: true });
}, 240_000);
