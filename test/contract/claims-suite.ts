import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Claims, LinkChange } from '../../stores/claims/claims.ts';
import {
  applyAll,
  cause,
  gone,
  minute,
  NOW,
  ref,
  seen,
  type ClaimsFactory,
  type ClaimsStore,
} from './claims-fixture.ts';
import { claimsChangesSuite } from './claims-changes-suite.ts';
import { servingSuite } from './claims-serving-suite.ts';
import { claimsLawSuite } from './claims-law-suite.ts';
import { claimsStewardSuite } from './claims-steward-suite.ts';

/** What every claims store must do; a new back end passes it unchanged. */
export function claimsSuites(factory: ClaimsFactory): void {
  claimsSuite(factory);
  guardTests(factory);
  claimsStewardSuite(factory);
  claimsLawSuite(factory);
  claimsChangesSuite(factory);
  servingSuite(factory);
}

function claimsSuite(factory: ClaimsFactory): void {
  let store: ClaimsStore;
  let claims: Claims;

  beforeEach(async () => {
    store = await factory.create();
    claims = await store.open();
  });
  afterEach(async () => {
    await claims.close();
    await store.destroy();
  });

  describe(`${factory.name}: applying`, () => applyTests(() => claims));
  describe(`${factory.name}: identity`, () => identityTests(() => claims));
  describe(`${factory.name}: as a sink and an outbox`, () => sinkTests(() => claims));

  test(`${factory.name}: two processes write the same and other records at once`, async () => {
    const second = await store.open();
    const batch = (from: number) =>
      Array.from({ length: 300 }, (_, index) =>
        seen(index % 2 === 0 ? 'a' : 'b', `${from + (index >> 1)}`, 1, {
          email: `p${from + (index >> 1)}@x.org`,
        }),
      );
    await Promise.all([
      applyAll(claims, batch(0)),
      applyAll(second, batch(0)),
      applyAll(second, batch(100)),
      applyAll(claims, batch(50)),
    ]);
    await second.close();
    expect(await claims.counts()).toMatchObject({ profiles: { contact: 250 }, records: 500 });
    expect(await claims.verify()).toMatchObject({ ok: true });
  });
}

async function allChanges(claims: Claims): Promise<LinkChange[]> {
  const changes: LinkChange[] = [];
  for await (const page of claims.previewLinks()) changes.push(...page);
  return changes;
}

/** Guards are given when a store is opened, so these tests open it twice. */
function guardTests(factory: ClaimsFactory): void {
  test(`${factory.name}: changed guards are previewed, then applied, and give what they would have given at first`, async () => {
    const store = await factory.create();
    const observations = ['1', '2', '3'].map((record) => seen('a', record, 1, { email: 'p@x.org' }));
    let claims = await store.open();
    await applyAll(claims, [...observations, seen('b', '9', 1, { email: 'q@x.org' })]);
    expect((await claims.counts()).profiles).toEqual({ contact: 2 });
    await claims.close();

    claims = await store.open({ guards: { recordsMaxDefault: 2 } });
    const preview = await allChanges(claims);
    expect(preview.map(({ ref: { record }, to }) => [record, to])).toEqual([
      ['2', null],
      ['3', null],
    ]);
    expect((await claims.counts()).profiles).toEqual({ contact: 2 });
    expect(await claims.applyLinks(cause(5, { via: 'operator' }))).toEqual({ moved: 2 });
    expect((await claims.counts()).profiles).toEqual({ contact: 4 });
    expect(await allChanges(claims)).toEqual([]);
    await claims.close();

    claims = await store.open();
    expect(await claims.applyLinks(cause(6, { via: 'operator' }), 'contact')).toEqual({ moved: 2 });
    expect((await claims.counts()).profiles).toEqual({ contact: 2 });
    expect(await claims.verify()).toMatchObject({ ok: true });
    await claims.close();
    await store.destroy();
  });
}

async function profileOf(claims: Claims, source: string, record: string) {
  const id = await claims.profileOf(ref(source, record));
  return id === null ? null : await claims.profile(id);
}

async function value(claims: Claims, source: string, record: string, field: string) {
  return (await profileOf(claims, source, record))?.fields[field]?.value;
}

function applyTests(get: () => Claims): void {
  test('new, known, changed, late and unchanged are told apart, and add up', async () => {
    const claims = get();
    const first = seen('a', '1', 10, { name: 'Ada' });
    const apply = async (observations: Parameters<typeof applyAll>[1], count: number) =>
      await claims.apply({ id: null, observations, cause: cause(count) });
    expect(await apply([first, first], 11)).toMatchObject({ observed: 1, known: 1, created: 1, changed: 0 });
    expect(await apply([first], 12)).toMatchObject({ observed: 0, known: 1, created: 0, changed: 0 });
    expect(await apply([seen('a', '1', 20, { name: 'Ada L.' })], 21)).toMatchObject({
      observed: 1,
      changed: 1,
    });
    expect(await apply([seen('a', '1', 15, { name: 'Adele' })], 22)).toMatchObject({
      observed: 1,
      changed: 0,
    });
    expect(await apply([seen('a', '1', 30, { name: 'Ada L.' })], 31)).toMatchObject({
      observed: 1,
      changed: 0,
    });
    expect(await value(claims, 'a', '1', 'name')).toBe('Ada L.');
    expect((await profileOf(claims, 'a', '1'))?.version).toBe(2);
    expect(await claims.outbox(0, 10)).toMatchObject([{ version: 1 }, { version: 2 }]);
  });

  test('a batch is applied once', async () => {
    const claims = get();
    const batch = { id: 'b1', observations: [seen('a', '1', 1, { name: 'Ada' })], cause: cause(2) };
    const receipt = await claims.apply(batch);
    expect(receipt).toMatchObject({ alreadyApplied: false, observed: 1, created: 1 });
    expect(await claims.apply(batch)).toEqual({ ...receipt, alreadyApplied: true });
  });

  test('a deletion and a return', async () => {
    const claims = get();
    await applyAll(claims, [seen('a', '1', 1, { name: 'Ada' })]);
    await applyAll(claims, [gone('a', '1', 5)], 5);
    expect(await profileOf(claims, 'a', '1')).toMatchObject({ deleted: true, fields: {}, version: 2 });
    await applyAll(claims, [seen('a', '1', 3, { name: 'Adele' })], 6);
    expect((await profileOf(claims, 'a', '1'))?.deleted).toBe(true);
    await applyAll(claims, [seen('a', '1', 9, { name: 'Ada' })], 9);
    expect(await profileOf(claims, 'a', '1')).toMatchObject({ deleted: false, version: 3 });
    const kinds = (await claims.events(0, 10)).map(({ kind }) => kind);
    expect(kinds).toEqual(['rule_change', 'observe', 'tombstone', 'undelete', 'undelete']);
  });

  test('row hashes are those of the newest version, and confirming settles two edits of one moment', async () => {
    const claims = get();
    await applyAll(claims, [seen('a', '1', 2, { name: 'x' }), seen('a', '2', 2, {})]);
    await applyAll(claims, [seen('a', '1', 1, { name: 'y' })]);
    expect(await claims.rowHashes('a', 'Contact', ['2', '1', '3'])).toEqual(['2@2', '1@2', null]);
    // Same stamp: what a read returned last is what the record holds.
    await applyAll(claims, [seen('a', '1', 2, { name: 'z' }, { confirmedAt: minute(3) })]);
    expect(await value(claims, 'a', '1', 'name')).toBe('z');
    await applyAll(claims, [seen('a', '1', 2, { name: 'x' }, { confirmedAt: minute(4) })]);
    expect(await value(claims, 'a', '1', 'name')).toBe('x');
    await claims.confirm('a', 'Contact', ['1', 'unknown'], minute(1));
    expect(await value(claims, 'a', '1', 'name')).toBe('x');
  });

  test('the last confirmation of an older version counts, and is kept', async () => {
    const claims = get();
    const says = (value: string, confirmed: number) =>
      seen('a', '1', 2, { name: value }, { confirmedAt: minute(confirmed) });
    // Four edits of one moment: what a read returned last is what the record holds, whichever became known last.
    await applyAll(claims, [says('x', 2)]);
    await claims.confirm('a', 'Contact', ['1'], minute(9));
    await applyAll(claims, [says('y', 5)]);
    expect(await value(claims, 'a', '1', 'name')).toBe('x');
    await applyAll(claims, [says('z', 7)]);
    expect(await value(claims, 'a', '1', 'name')).toBe('x');
    // y is neither the newest nor the one that counts; read again, it is.
    await applyAll(claims, [says('y', 11)]);
    expect(await value(claims, 'a', '1', 'name')).toBe('y');
    await applyAll(claims, [says('w', 10)]);
    expect(await value(claims, 'a', '1', 'name')).toBe('y');
    expect((await claims.counts()).events).toBe(5);
  });

  test('what was known then, with the rules of then', async () => {
    const claims = get();
    await applyAll(claims, [seen('a', '1', 1, { email: 'p@x.org', name: 'old' })], 10);
    await applyAll(claims, [seen('b', '1', 5, { email: 'p@x.org', name: 'new' })], 20);
    const id = (await claims.profileOf(ref('a', '1'))) ?? '';
    expect((await claims.profile(id))?.fields['name']?.value).toBe('new');
    expect((await claims.profile(id, { asOf: minute(15) }))?.fields['name']?.value).toBe('old');
    expect((await claims.profile(id, { asOf: minute(15) }))?.records).toHaveLength(1);
    expect(await claims.profile(id, { asOf: minute(9) })).toBeNull();
  });

  test('history tells who said what, oldest first', async () => {
    const claims = get();
    await applyAll(claims, [seen('a', '1', 1, { name: 'old', city: 'Graz' })], 10);
    await applyAll(claims, [seen('a', '1', 5, { name: 'new' })], 20);
    const id = (await claims.profileOf(ref('a', '1'))) ?? '';
    expect(await claims.history(id)).toMatchObject([
      {
        kind: 'observe',
        fields: { name: 'old', city: 'Graz' },
        stamp: minute(1),
        at: minute(10),
        run: 'run-10',
      },
      { kind: 'observe', fields: { name: 'new' }, profile: id, ref: ref('a', '1'), entity: 'contact' },
    ]);
    expect(await claims.history(id, { field: 'city' })).toHaveLength(1);
    expect(await claims.history(id, { limit: 1 })).toMatchObject([{ fields: { name: 'new' } }]);
  });
}

function identityTests(get: () => Claims): void {
  test('one address, two systems, one profile', async () => {
    const claims = get();
    await applyAll(claims, [
      seen('a', '1', 1, { email: 'p@x.org' }),
      seen('b', '9', 2, { email: 'p@x.org' }),
    ]);
    const id = await claims.profileOf(ref('a', '1'));
    expect(await claims.profileOf(ref('b', '9'))).toBe(id);
    expect(await claims.find('contact', { kind: 'email', value: 'p@x.org' })).toEqual([id]);
    expect(await claims.find('contact', { kind: 'email', value: 'q@x.org' })).toEqual([]);
  });

  test('a corrected address no longer links; one that was not read still does', async () => {
    const claims = get();
    const together = async () =>
      (await claims.profileOf(ref('a', '1'))) === (await claims.profileOf(ref('b', '9')));
    await applyAll(claims, [
      seen('a', '1', 1, { email: 'p@x.org', name: 'Ada' }),
      seen('b', '9', 2, { email: 'p@x.org' }),
    ]);
    await applyAll(claims, [seen('a', '1', 3, { name: 'Ada L.' })]);
    expect(await together()).toBe(true);
    await applyAll(claims, [seen('a', '1', 5, { email: 'q@x.org', name: 'Ada L.' })]);
    expect(await together()).toBe(false);
    // A version that came late is older than the correction.
    await applyAll(claims, [seen('a', '1', 4, { email: 'p@x.org', name: 'Ada' })]);
    expect(await together()).toBe(false);
    await applyAll(claims, [seen('a', '1', 6, { email: 'p@x.org', name: 'Ada' })]);
    expect(await together()).toBe(true);
    await applyAll(claims, [seen('a', '1', 7, { email: null, name: 'Ada' })]);
    expect(await together()).toBe(false);
  });

  test('a record that knows both merges two profiles; the older id stays, the other is an alias', async () => {
    const claims = get();
    await applyAll(claims, [seen('a', '1', 1, { email: 'p@x.org' })]);
    await applyAll(claims, [seen('b', '1', 1, { email: 'q@x.org' })]);
    const [old, other] = [await claims.profileOf(ref('a', '1')), await claims.profileOf(ref('b', '1'))];
    const both = {
      identifiers: [
        { kind: 'email', value: 'p@x.org' },
        { kind: 'email', value: 'q@x.org' },
      ],
    };
    const receipt = await claims.apply({
      id: null,
      observations: [seen('c', '1', 3, {}, both)],
      cause: cause(4),
    });
    expect(receipt).toMatchObject({ created: 0, changed: 1, merged: 1 });
    expect(await claims.profileOf(ref('b', '1'))).toBe(old);
    expect((await claims.profile(other ?? ''))?.profile).toBe(old);
    expect((await claims.profile(old ?? ''))?.records).toHaveLength(3);
    expect((await claims.outbox(0, 10)).filter(({ profile }) => profile === other)).toHaveLength(2);
    const then = await claims.profile(other ?? '', { asOf: minute(2) });
    expect(then).toMatchObject({ profile: other, records: [{ source: 'b' }] });
  });

  test('a merge in the source joins two records, in either order of news', async () => {
    const claims = get();
    await applyAll(claims, [seen('a', 'loser', 1, { name: 'x' })]);
    await applyAll(claims, [seen('a', 'loser', 2, {}, { deleted: true, mergedInto: 'winner' })]);
    await applyAll(claims, [seen('a', 'winner', 2, { name: 'y' })]);
    expect(await claims.profileOf(ref('a', 'loser'))).toBe(await claims.profileOf(ref('a', 'winner')));
    await applyAll(claims, [
      seen('b', 'new', 2, {}, { mergedFrom: ['one', 'two'] }),
      seen('b', 'one', 1, { name: 'z' }),
    ]);
    expect(await claims.profileOf(ref('b', 'one'))).toBe(await claims.profileOf(ref('b', 'new')));
  });

  test('an address that too many share links none of them, whenever the last one came', async () => {
    const claims = get();
    const all = Array.from({ length: 11 }, (_, index) => seen('a', `${index}`, 1, { email: 'info@x.org' }));
    await applyAll(claims, all.slice(0, 10));
    expect((await claims.profiles({ limit: 100 })).length).toBe(1);
    await applyAll(claims, all.slice(10));
    expect((await claims.profiles({ limit: 100 })).length).toBe(11);
  });

  test('unlinking splits exactly, and gives back the id that was merged away', async () => {
    const claims = get();
    await applyAll(claims, [seen('a', '1', 1, { name: 'x' }), seen('b', '1', 2, { name: 'y' })]);
    const other = await claims.profileOf(ref('b', '1'));
    const before = await claims.profile(other ?? '');
    await claims.link(ref('a', '1'), ref('b', '1'), cause(3));
    expect(await claims.profileOf(ref('b', '1'))).not.toBe(other);
    await claims.unlink(ref('a', '1'), ref('b', '1'), cause(4));
    expect(await claims.profileOf(ref('b', '1'))).toBe(other);
    expect((await claims.profile(other ?? ''))?.fields).toEqual(before?.fields);
    // And no identifier brings them together again: that is a question for a person.
    const shared = { email: 's@x.org' };
    await applyAll(claims, [seen('a', '1', 5, shared), seen('b', '1', 5, shared)], 5);
    expect(await claims.profileOf(ref('b', '1'))).toBe(other);
    const [review] = await claims.reviews({ state: 'open', limit: 10 });
    expect(review).toMatchObject({
      kind: 'link',
      candidates: [{ ref: ref('a', '1') }, { ref: ref('b', '1') }],
    });
    await claims.resolveReview(review?.id ?? '', 'link', cause(6));
    expect(await claims.profileOf(ref('b', '1'))).toBe(await claims.profileOf(ref('a', '1')));
    expect(await claims.reviews({ state: 'open', limit: 10 })).toEqual([]);
  });
}

function sinkTests(get: () => Claims): void {
  test('windows raise the sequence once each', async () => {
    const claims = get();
    const { epoch, seq } = await claims.sinkState();
    expect(await claims.closeWindow('w1', ['b1'])).toEqual({ epoch, seq: seq + 1 });
    expect(await claims.closeWindow('w1', ['b1'])).toEqual({ epoch, seq: seq + 1 });
    expect(await claims.sinkState()).toEqual({ epoch, seq: seq + 1 });
  });

  test('cursors never move back', async () => {
    const claims = get();
    expect(await claims.cursor('cache')).toBe(0);
    await claims.moveCursor('cache', 7);
    await claims.moveCursor('cache', 3);
    expect(await claims.cursor('cache')).toBe(7);
  });

  test('the outbox keeps the newest row of each profile, and all that a consumer has not passed', async () => {
    const claims = get();
    const change = async (stamp: number) =>
      await applyAll(claims, [seen('a', '1', stamp, { name: `name ${stamp}` })], stamp);
    await applyAll(claims, [seen('a', '2', 1, { name: 'other' })]);
    for (const stamp of [1, 2, 3]) await change(stamp);
    expect(await claims.prune(100)).toBe(0);
    const positions = async () => (await claims.outbox(0, 100)).map(({ position }) => position);
    await claims.moveCursor('warehouse', 4);
    await claims.moveCursor('slow', 2);
    await claims.moveCursor('warehouse/alone', 1);
    expect(await claims.prune(100)).toBe(1);
    expect(await positions()).toEqual([1, 3, 4]);
    await claims.moveCursor('slow', 4);
    // Two rows a time; behind the end it begins anew.
    expect(await claims.prune(2)).toBe(1);
    expect(await positions()).toEqual([1, 4]);
    await change(4);
    await claims.moveCursor('slow', 5);
    await claims.moveCursor('warehouse', 5);
    for (let call = 0; call < 3; call += 1) await claims.prune(2);
    expect(await positions()).toEqual([1, 5]);
    expect(await claims.current((await claims.outbox(0, 10)).map(({ profile }) => profile))).toHaveLength(2);
  });

  test('an erased subject stays away', async () => {
    const claims = get();
    await applyAll(claims, [
      seen('a', '1', 1, { email: 'p@x.org' }),
      seen('b', '2', 1, { email: 'p@x.org' }),
    ]);
    const id = (await claims.profileOf(ref('a', '1'))) ?? '';
    const erased = await claims.erase(id, cause(3, { via: 'operator' }));
    expect(erased).toEqual({ records: [ref('a', '1'), ref('b', '2')], profiles: [id] });
    expect(await claims.suppressed('a', 'Contact', ['1', '2'])).toEqual([true, false]);
    const again = [
      seen('a', '1', 5, { name: 'x' }),
      seen('c', '7', 5, { email: 'p@x.org' }),
      seen('c', '8', 5, {}),
    ];
    expect(await claims.apply({ id: null, observations: again, cause: cause(6) })).toMatchObject({
      suppressed: 2,
      observed: 1,
    });
    expect(await claims.profile(id)).toMatchObject({ deleted: true, fields: {}, records: [] });
    expect(await claims.find('contact', { kind: 'email', value: 'p@x.org' })).toEqual([]);
    expect((await claims.outbox(0, 100)).filter(({ profile }) => profile === id)).toHaveLength(2);
    const events = await claims.events(0, 100);
    expect(events.filter(({ kind }) => kind === 'erase')).toHaveLength(2);
    expect(events.filter(({ ref: of }) => of !== null)).toHaveLength(1);
    expect(await claims.verify()).toMatchObject({ ok: true, brokenAt: null });
    expect(NOW).toBeDefined();
  });
}
