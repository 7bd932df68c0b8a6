import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { ClaimValue } from '../../schemas/observation.ts';
import type { Cause, Claims, Proposal } from '../../stores/claims/claims.ts';
import {
  applyAll,
  cause,
  goldenText,
  ref,
  rules,
  seen,
  type ClaimsFactory,
  type ClaimsStore,
} from './claims-fixture.ts';

const RUNS = 40;
const changeId = (number: number) => `ch_${String(number).padStart(32, '0')}`;
const api = (count: number): Cause => cause(count, { via: 'api', run: 'change/1', actor: 'bot' });

function proposal(
  number: number,
  values: Record<string, ClaimValue>,
  more: Partial<Proposal> = {},
): Proposal {
  const targets = [{ ...ref('a', '1'), fields: Object.keys(values) }];
  return { id: changeId(number), kind: 'explicit', values, targets, ...more };
}

/** Changes that somebody asks for: pending until their systems of record have answered. */
export function claimsChangesSuite(factory: ClaimsFactory): void {
  let store: ClaimsStore;
  let claims: Claims;

  beforeEach(async () => {
    store = await factory.create();
    claims = await store.open();
    await applyAll(claims, [
      seen('a', '1', 1, { email: 'p@x.org', title: 'Clerk', city: 'Graz' }),
      seen('b', '9', 2, { email: 'p@x.org', title: 'Aide' }),
    ]);
  });
  afterEach(async () => {
    await claims.close();
    await store.destroy();
  });

  const id = async () => (await claims.profileOf(ref('a', '1'))) ?? '';
  const golden = async () => (await claims.profile(await id()))?.fields ?? {};

  describe(`${factory.name}: a change that waits for its systems`, () => {
    test('it wins in reads and says so, until it is confirmed by what was read back', async () => {
      const before = (await claims.profile(await id()))?.version ?? 0;
      const outbox = (await claims.outbox(0, 100)).length;
      const asked = proposal(1, { title: 'Chief' });
      const proposed = await claims.propose(await id(), asked, api(10));
      expect(proposed).toEqual({ version: before + 1, state: 'pending', repeated: false });
      expect((await golden())['title']).toMatchObject({
        value: 'Chief',
        pending: true,
        decidedBy: 'pending change',
        contested: true,
      });
      expect((await golden())['city']?.pending).toBeUndefined();
      expect(await claims.pendingChanges(10)).toEqual([{ id: changeId(1), at: api(10).at }]);
      expect(await claims.openChange(changeId(1))).toMatchObject({
        values: { title: 'Chief' },
        targets: [{ ...ref('a', '1'), then: { title: 'Clerk' }, now: { title: 'Clerk' }, state: 'pending' }],
      });
      // A poll that still brings the old value, and one of the other system.
      await applyAll(claims, [seen('b', '9', 11, { email: 'p@x.org', title: 'Aide', city: 'Linz' })]);
      expect((await golden())['title']).toMatchObject({ value: 'Chief', pending: true });

      await applyAll(claims, [seen('a', '1', 12, { email: 'p@x.org', title: 'Chief', city: 'Graz' })]);
      await claims.noteTarget(changeId(1), 0, { state: 'confirmed', wrote: api(12).at }, api(13));
      expect(await claims.settleChange(changeId(1), 'confirmed', null, api(13))).toBe('confirmed');
      const after = (await golden())['title'];
      expect(after).toMatchObject({ value: 'Chief', ref: ref('a', '1'), decidedBy: 'latest' });
      expect(after?.pending).toBeUndefined();
      // Whoever keeps a copy has to hear that it no longer waits, although the value is the same.
      expect((await claims.outbox(0, 100)).length).toBeGreaterThanOrEqual(outbox + 3);
      expect(await claims.pendingChanges(10)).toEqual([]);
      const change = await claims.change(changeId(1));
      expect(change).toMatchObject({ state: 'confirmed', fields: ['title'], settledAt: api(13).at });
      expect(JSON.stringify(change)).not.toContain('Chief');
      expect(await claims.verify()).toMatchObject({ ok: true });
    });

    test('refused, it is taken back, with the reason', async () => {
      const was = (await golden())['title'];
      await claims.propose(await id(), proposal(1, { title: 'Chief' }), api(10));
      const why = { code: 'FIELD_CUSTOM_VALIDATION_EXCEPTION', field: 'title' };
      expect(await claims.settleChange(changeId(1), 'refused', why, api(11))).toBe('refused');
      expect((await golden())['title']).toEqual(was);
      expect(await claims.change(changeId(1))).toMatchObject({ state: 'refused', ...why });
      // Only the first answer counts.
      expect(await claims.settleChange(changeId(1), 'confirmed', null, api(12))).toBe('refused');
      expect(await claims.change(changeId(1))).toMatchObject({ state: 'refused', settledAt: api(11).at });
    });

    test('I4: history and explain show it, and a read as of then', async () => {
      await claims.propose(await id(), proposal(1, { title: 'Chief' }), api(10));
      const { golden: now, considered } = (await claims.explain(await id(), 'title')) ?? {};
      expect(now).toMatchObject({ value: 'Chief', pending: true });
      expect(considered?.[0]?.why).toMatch(/^A change that waits for its systems stands above the rules/);
      await claims.settleChange(changeId(1), 'refused', { code: 'X', field: null }, api(20));
      const kinds = (await claims.history(await id(), { field: 'title' })).map(({ kind, actor }) => [
        kind,
        actor,
      ]);
      expect(kinds.slice(-2)).toEqual([
        ['propose', 'bot'],
        ['settle', 'bot'],
      ]);
      const then = await claims.profile(await id(), { asOf: api(15).at });
      expect(then?.fields['title']).toMatchObject({ value: 'Chief', pending: true });
    });

    test("an operator's override and its release leave it alone, and a rollback of its run takes back what was read", async () => {
      await claims.propose(await id(), proposal(1, { title: 'Chief' }), api(10));
      await claims.override(await id(), 'title', 'Queen', cause(11, { via: 'operator', actor: 'ada' }));
      expect((await golden())['title']).toMatchObject({ value: 'Queen', decidedBy: 'override' });
      await claims.release(await id(), 'title', cause(12, { via: 'operator', actor: 'ada' }));
      expect((await golden())['title']).toMatchObject({ value: 'Chief', pending: true });
      await claims.apply({
        id: null,
        observations: [seen('a', '1', 13, { email: 'p@x.org', title: 'Chief', city: 'Graz' })],
        cause: api(13),
      });
      await claims.settleChange(changeId(1), 'confirmed', null, api(14));
      await claims.rollback({ run: 'change/1', hold: false }, cause(15));
      expect((await golden())['title']).toMatchObject({ value: 'Aide' });
    });

    test('asking again with its id changes nothing; the id means one change only', async () => {
      const asked = proposal(1, { title: 'Chief' });
      const first = await claims.propose(await id(), asked, api(10));
      const events = (await claims.counts()).events;
      expect(await claims.propose(await id(), asked, api(11))).toEqual({ ...first, repeated: true });
      expect((await claims.counts()).events).toBe(events);
      await expect(claims.propose(await id(), proposal(1, { title: 'Boss' }), api(11))).rejects.toMatchObject(
        {
          code: 'INPUT_INVALID',
        },
      );
    });

    test('whoever has seen something else hears VERSION_CONFLICT; of one field, unrelated news is none', async () => {
      const seenVersion = (await claims.profile(await id()))?.version ?? 0;
      const seenClaim = (await golden())['title']?.claim ?? '';
      await applyAll(claims, [seen('a', '1', 5, { email: 'p@x.org', title: 'Clerk', city: 'Wien' })]);
      const conflict = { code: 'VERSION_CONFLICT' };
      await expect(
        claims.propose(await id(), proposal(1, { title: 'Chief' }, { version: seenVersion }), api(10)),
      ).rejects.toMatchObject(conflict);
      await expect(
        claims.propose(await id(), proposal(2, { title: 'Chief' }, { claims: { title: 'other' } }), api(10)),
      ).rejects.toMatchObject(conflict);
      expect(await claims.change(changeId(1))).toBeNull();
      const ours = proposal(3, { title: 'Chief' }, { claims: { title: seenClaim, phone: null } });
      expect(await claims.propose(await id(), ours, api(10))).toMatchObject({ state: 'pending' });
      // A second change of a field waits until the first is settled.
      await expect(claims.propose(await id(), proposal(4, { title: 'Boss' }), api(11))).rejects.toMatchObject(
        conflict,
      );
    });

    test('what every target and the profile hold already is confirmed at once, and nobody is asked', async () => {
      await applyAll(claims, [seen('a', '1', 6, { email: 'p@x.org', title: 'Aide', city: 'Graz' })]);
      const version = (await claims.profile(await id()))?.version;
      const asked = await claims.propose(await id(), proposal(1, { title: 'Aide' }), api(10));
      expect(asked).toEqual({ version, state: 'confirmed', repeated: false });
      expect(await claims.change(changeId(1))).toMatchObject({
        state: 'confirmed',
        targets: [{ state: 'confirmed' }],
      });
    });

    test('what was sent and what came of it is remembered of a record, and of so many changes only', async () => {
      await claims.propose(await id(), proposal(1, { title: 'chief' }), api(10));
      await applyAll(claims, [seen('a', '1', 12, { email: 'p@x.org', title: 'CHIEF', city: 'Graz' })]);
      await claims.noteTarget(changeId(1), 0, { state: 'confirmed', adjusted: ['title'] }, api(13));
      await claims.settleChange(changeId(1), 'confirmed', null, api(13));
      expect(await claims.sentTo(ref('a', '1'))).toEqual([
        { change: changeId(1), field: 'title', value: 'chief', got: 'CHIEF' },
      ]);
      expect(await claims.sentTo(ref('b', '9'))).toEqual([]);
      for (let number = 2; number <= 55; number += 1) {
        await claims.propose(await id(), proposal(number, { title: `t${number}` }), api(10 + number));
        await claims.settleChange(changeId(number), 'refused', { code: 'X', field: null }, api(10 + number));
      }
      expect(await claims.change(changeId(1))).toBeNull();
      expect(await claims.change(changeId(6))).toMatchObject({ state: 'refused' });
    });

    test('I5: erasing the customer removes it; its write-back finds nothing to do', async () => {
      await claims.propose(await id(), proposal(1, { title: 'Chief' }), api(10));
      await claims.erase(await id(), cause(20));
      expect(await claims.change(changeId(1))).toBeNull();
      expect(await claims.pendingChanges(10)).toEqual([]);
      await claims.noteTarget(changeId(1), 0, { state: 'written' }, api(21));
      expect(await claims.settleChange(changeId(1), 'confirmed', null, api(21))).toBeNull();
      expect(await claims.verify()).toMatchObject({ ok: true });
    });

    test('an override by the same way stands above the rules at once', async () => {
      const asked = proposal(1, { title: 'Chief' }, { kind: 'override', targets: [] });
      expect(await claims.propose(await id(), asked, api(10))).toMatchObject({ state: 'confirmed' });
      expect((await golden())['title']).toMatchObject({ value: 'Chief', decidedBy: 'override' });
      expect((await golden())['title']?.pending).toBeUndefined();
    });
  });

  describe(`${factory.name}: what a model says`, () => {
    const inferred = (number: number, values: Record<string, ClaimValue>, confidence = 0.8) =>
      proposal(number, values, { kind: 'inferred', targets: [], confidence, model: 'risk@3' });
    const said = rules({
      defaults: { prefer: [{ by: 'kind' }, { by: 'latest' }], blank: 'skip', onTie: 'stable' },
    });

    test('it is a claim of its own in the same profile; explicit values come first, others it fills', async () => {
      await claims.applyRules(said, cause(3));
      const before = await claims.profile(await id());
      await claims.propose(await id(), inferred(1, { title: 'Guess', score: '0.7' }), api(10));
      const now = await claims.profile(await id());
      expect(now?.profile).toBe(before?.profile);
      expect(now?.version).toBe((before?.version ?? 0) + 1);
      expect(now?.fields['title']).toMatchObject({ value: 'Aide', kind: 'explicit' });
      expect(now?.fields['score']).toMatchObject({ value: '0.7', kind: 'inferred', confidence: 0.8 });
      expect(now?.fields['score']?.ref).toMatchObject({ source: 'api', object: 'contact' });
      await claims.propose(await id(), inferred(2, { score: '0.9' }, 0.5), api(11));
      expect((await golden())['score']).toMatchObject({ value: '0.9', confidence: 0.5 });
      expect((await golden())['title']?.value).toBe('Aide');
      expect((await claims.counts()).records).toBe(3);
      expect(await claims.change(changeId(2))).toMatchObject({ kind: 'inferred', state: 'confirmed' });
    });

    test('it stays with its customer when links are decided anew', async () => {
      await claims.propose(await id(), inferred(1, { score: '0.7' }), api(10));
      await claims.unlink(ref('a', '1'), ref('b', '9'), cause(11, { via: 'operator', actor: 'ada' }));
      expect((await golden())['score']?.value).toBe('0.7');
      await claims.applyLinks(cause(12));
      expect((await golden())['score']?.value).toBe('0.7');
      expect(
        (await claims.profile((await claims.profileOf(ref('b', '9'))) ?? ''))?.fields['score'],
      ).toBeUndefined();
    });
  });

  changesLaw(factory);
}

type Step = 'webhook' | 'poll' | 'read back' | 'again' | 'other' | 'settle';

/** I1 with changes: webhook, poll, read-back and retries of one record in any order. */
function changesLaw(factory: ClaimsFactory): void {
  const STEPS: Step[] = ['webhook', 'poll', 'read back', 'again', 'other', 'settle'];
  test(`I1: ${factory.name}: webhook, poll, read-back and retry of one change end in one state, whatever their order`, async () => {
    let first: string | undefined;
    const order = fc.shuffledSubarray(STEPS, { minLength: STEPS.length });
    const repeats = fc.array(fc.constantFrom(...STEPS), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(order, repeats, async (steps, more) => {
        const store = await factory.create();
        const claims = await store.open();
        const before = seen('a', '1', 1, { email: 'p@x.org', title: 'Clerk' });
        await applyAll(claims, [before]);
        const id = (await claims.profileOf(ref('a', '1'))) ?? '';
        const asked = proposal(1, { title: 'Chief' });
        await claims.propose(id, asked, api(10));
        const after = seen('a', '1', 11, { email: 'p@x.org', title: 'CHIEF' });
        for (const [at, step] of [...steps, ...more].entries()) {
          if (step === 'settle') await claims.settleChange(changeId(1), 'confirmed', null, api(20 + at));
          else if (step === 'again') await claims.propose(id, asked, api(20 + at));
          else {
            const via = step === 'read back' ? 'api' : step === 'other' ? 'poll' : step;
            const what = step === 'other' ? before : after;
            await claims.apply({ id: null, observations: [what], cause: cause(20 + at, { via }) });
          }
        }
        const text = await goldenText(claims);
        first ??= text;
        expect(text).toBe(first);
        expect(text).toContain('CHIEF');
        expect(text).not.toContain('pending');
        expect(await claims.verify()).toMatchObject({ ok: true });
        await claims.close();
        await store.destroy();
      }),
      { numRuns: RUNS },
    );
  });
}
