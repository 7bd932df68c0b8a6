import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Claims } from '../../stores/claims/claims.ts';
import {
  applyAll,
  cause,
  email,
  minute,
  ref,
  rules,
  seen,
  type ClaimsFactory,
  type ClaimsStore,
} from './claims-fixture.ts';

/** What a data steward does: rules, rollbacks, overrides, reviews. */
export function claimsStewardSuite(factory: ClaimsFactory): void {
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

  const name = async () => (await claims.profile(await id()))?.fields['name']?.value;
  const id = async () => (await claims.profileOf(ref('a', '1'))) ?? '';
  const operator = (count: number) => cause(count, { via: 'operator', run: null, actor: 'ada' });

  describe(`${factory.name}: rules`, () => {
    test('a change is previewed, then made, and only what it changes gets a version', async () => {
      const people = Array.from({ length: 250 }, (_, index) => [
        seen('a', `${index}`, 1, { email: `p${index}@x.org`, name: index === 7 ? 'same' : 'first' }),
        seen('b', `${index}`, 2, { email: `p${index}@x.org`, name: index === 7 ? 'same' : 'second' }),
      ]);
      await applyAll(claims, people.flat());
      const last = (await claims.outbox(0, 1_000)).length;
      const other = rules({ fields: { name: { prefer: [{ by: 'source', order: ['a'] }] } } });
      const changes = [];
      for await (const page of claims.previewRules(other, { limit: 100 })) {
        expect(page.length).toBeLessThanOrEqual(100);
        changes.push(...page);
      }
      expect(changes).toHaveLength(249);
      expect(changes[0]).toMatchObject({
        field: 'name',
        before: { value: 'second' },
        after: { value: 'first' },
      });
      expect((await claims.rules('contact'))?.rules.fields).toEqual({});
      expect(await claims.applyRules(other, operator(10))).toEqual({ changed: 249 });
      expect(await claims.outbox(last, 1_000)).toHaveLength(249);
      expect(await claims.applyRules(other, operator(11))).toEqual({ changed: 0 });
      expect((await claims.rules('contact'))?.since).toBe(minute(10));
      expect(await name()).toBe('first');
      expect((await claims.profile(await id(), { asOf: minute(9) }))?.fields['name']?.value).toBe('second');
    });

    test('contested fields are listed and explained', async () => {
      await applyAll(claims, [seen('a', '1', 1, { email: 'p@x.org', name: 'x' })]);
      expect(await claims.contested({ limit: 5 })).toEqual([]);
      await applyAll(claims, [seen('b', '1', 2, { email: 'p@x.org', name: 'y' })]);
      expect(await claims.contested({ entity: 'contact', limit: 5 })).toMatchObject([
        { profile: await id() },
      ]);
      const told = await claims.explain(await id(), 'name');
      expect(told?.golden?.value).toBe('y');
      expect(told?.considered.map(({ value, outcome }) => [value, outcome])).toEqual([
        ['y', 'won'],
        ['x', 'lost'],
      ]);
      await applyAll(claims, [seen('a', '1', 3, { email: 'p@x.org', name: 'y' })]);
      expect(await claims.contested({ limit: 5 })).toEqual([]);
    });
  });

  describe(`${factory.name}: rollback`, () => {
    beforeEach(async () => {
      await applyAll(claims, [seen('a', '1', 1, { name: 'good', city: 'Graz' })], 2);
      await applyAll(claims, [seen('a', '1', 10, { name: 'bad', city: 'Graz' })], 11);
    });

    test('takes a run back, and the next poll with the same value stays taken back', async () => {
      const scope = { run: 'run-11', hold: false };
      const lines = await claims.previewRollback(scope, { limit: 10 });
      expect(lines).toEqual([
        { profile: await id(), ref: ref('a', '1'), field: 'name', before: 'bad', after: 'good' },
      ]);
      expect(await name()).toBe('bad');
      expect(await claims.rollback(scope, operator(12))).toEqual({ retracted: 1, profiles: 1 });
      expect(await name()).toBe('good');
      await applyAll(claims, [seen('a', '1', 20, { name: 'bad', city: 'Wels' })], 21);
      expect(await name()).toBe('good');
      await applyAll(claims, [seen('a', '1', 30, { name: 'better', city: 'Wels' })], 31);
      expect(await name()).toBe('better');
      expect((await claims.profile(await id(), { asOf: minute(11) }))?.fields['name']?.value).toBe('bad');
      expect(await claims.rollback(scope, operator(40))).toEqual({ retracted: 0, profiles: 0 });
    });

    test('to a time, with a hold that lasts until it is released', async () => {
      await applyAll(claims, [seen('a', '1', 12, { name: 'worse', city: 'Graz' })], 13);
      expect(await claims.rollback({ since: minute(5), hold: true }, operator(14))).toMatchObject({
        profiles: 1,
      });
      expect(await name()).toBe('good');
      await applyAll(claims, [seen('a', '1', 20, { name: 'new', city: 'Graz' })], 21);
      expect(await name()).toBe('good');
      expect(await claims.release(await id(), 'name', operator(22))).toBe(2);
      expect(await name()).toBe('new');
      expect(await claims.verify()).toMatchObject({ ok: true });
    });

    test('one field of one source', async () => {
      const scope = { profile: await id(), field: 'city', source: 'b', hold: false };
      expect(await claims.previewRollback(scope, { limit: 10 })).toEqual([]);
      const lines = await claims.previewRollback({ ...scope, source: 'a' }, { limit: 10 });
      expect(lines).toMatchObject([{ field: 'city', before: 'Graz', after: null }]);
    });
  });

  test(`${factory.name}: a preview tells what the profile holds now and would hold`, async () => {
    await applyAll(claims, [seen('a', '1', 1, { email: 'p@x.org', name: 'x', city: 'Graz' })], 2);
    await applyAll(claims, [seen('b', '1', 3, { email: 'p@x.org', name: 'y' })], 4);
    const preview = async (scope: object) => {
      const lines = await claims.previewRollback({ hold: false, ...scope }, { limit: 10 });
      return lines.map(({ ref: of, field, before, after }) => [of.source, field, before, after]);
    };
    expect(await preview({ source: 'b', field: 'name' })).toEqual([['b', 'name', 'y', 'x']]);
    // The golden value is another record's, and stays.
    expect(await preview({ source: 'a', field: 'name' })).toEqual([['a', 'name', 'y', 'y']]);
    // All of a profile at once.
    expect(await preview({ field: 'name' })).toEqual([
      ['a', 'name', 'y', null],
      ['b', 'name', 'y', null],
    ]);
    expect(await preview({ run: 'run-2', field: 'city' })).toEqual([['a', 'city', 'Graz', null]]);
    expect(await name()).toBe('y');
  });

  describe(`${factory.name}: overrides and ties`, () => {
    test('an override stands above all until it is released', async () => {
      await applyAll(claims, [seen('a', '1', 1, { name: 'x' })]);
      await claims.override(await id(), 'name', 'said', operator(2));
      expect((await claims.profile(await id()))?.fields['name']).toMatchObject({
        value: 'said',
        decidedBy: 'override',
      });
      await applyAll(claims, [seen('a', '1', 5, { name: 'y' })], 5);
      expect(await name()).toBe('said');
      await claims.override(await id(), 'name', 'said again', operator(6));
      expect(await name()).toBe('said again');
      expect((await claims.profile(await id()))?.version).toBe(3);
      expect(await claims.release(await id(), 'name', operator(7))).toBe(1);
      expect(await name()).toBe('y');
      expect((await claims.history(await id(), { field: 'name' })).map(({ kind }) => kind)).toEqual([
        'observe',
        'override',
        'observe',
        'override',
        'release',
      ]);
    });

    test('a tie is put up once and decided by naming the claim', async () => {
      const review = { name: { prefer: [{ by: 'kind' }], onTie: 'review' } };
      await claims.applyRules(rules({ fields: review }), operator(1));
      const both = [
        seen('a', '1', 1, { email: 'p@x.org', name: 'x' }),
        seen('b', '1', 1, { email: 'p@x.org', name: 'y' }),
      ];
      await applyAll(claims, both, 2);
      await applyAll(claims, [seen('b', '1', 3, { email: 'p@x.org', name: 'y', city: 'Graz' })], 4);
      const open = await claims.reviews({ state: 'open', limit: 10 });
      expect(open).toMatchObject([{ kind: 'tie', field: 'name', profile: await id() }]);
      expect((await claims.counts()).openReviews).toBe(1);
      const [tie] = open;
      expect(tie?.candidates.map((candidate) => candidate.value)).toEqual(['x', 'y']);
      const claim = tie?.candidates.find((candidate) => candidate.value === 'x')?.claim ?? '';
      await claims.resolveReview(tie?.id ?? '', claim, operator(5));
      expect(await name()).toBe('x');
      expect(await claims.reviews({ state: 'open', limit: 10 })).toEqual([]);
      expect(await claims.reviews({ state: 'resolved', limit: 10 })).toMatchObject([{ decision: claim }]);
      expect((await claims.counts()).openReviews).toBe(0);
    });

    test('a tie that ends is closed, and opened again when it comes back', async () => {
      const review = { name: { prefer: [{ by: 'kind' }], onTie: 'review' } };
      await claims.applyRules(rules({ fields: review }), operator(1));
      const says = (value: string, stamp: number) =>
        seen('b', '1', stamp, { email: 'p@x.org', name: value }, { identifiers: [email('p@x.org')] });
      const state = async () => {
        const all = await claims.reviews({ limit: 10 });
        const open = all.filter((one) => one.state === 'open').length;
        expect((await claims.counts()).openReviews).toBe(open);
        return all.map((one) => [one.state, one.decision]);
      };
      await applyAll(claims, [seen('a', '1', 1, { email: 'p@x.org', name: 'x' }), says('y', 1)], 2);
      expect(await state()).toEqual([['open', null]]);
      await applyAll(claims, [says('x', 3)], 4);
      expect(await state()).toEqual([['resolved', 'ended']]);
      await claims.rollback({ run: 'run-4', hold: false }, operator(5));
      expect(await state()).toEqual([['open', null]]);
      await claims.unlink(ref('a', '1'), ref('b', '1'), operator(6));
      expect((await state())[0]).toEqual(['resolved', 'ended']);
    });

    test('a tie ends with rules that ask for no review, and with the subject', async () => {
      const review = { name: { prefer: [{ by: 'kind' }], onTie: 'review' } };
      await claims.applyRules(rules({ fields: review }), operator(1));
      const tie = (address: string, record: string) => [
        seen('a', record, 1, { email: address, name: 'x' }),
        seen('b', record, 1, { email: address, name: 'y' }),
      ];
      await applyAll(claims, [...tie('p@x.org', '1'), ...tie('q@x.org', '2')], 2);
      expect((await claims.counts()).openReviews).toBe(2);
      await claims.erase(await id(), operator(3));
      expect((await claims.counts()).openReviews).toBe(1);
      await claims.applyRules(rules(), operator(4));
      expect(await claims.reviews({ state: 'open', limit: 10 })).toEqual([]);
      expect((await claims.counts()).openReviews).toBe(0);
    });
  });
}
