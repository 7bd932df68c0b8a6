import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Claims } from '../../stores/claims/claims.ts';
import { openSqliteClaims } from '../../stores/claims/sqlite.ts';
import { applyAll, cause, email, masterKey, options, ref, seen } from './claims-fixture.ts';

let root: string;
let claims: Claims;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'claims-'));
  claims = await openSqliteClaims({ path: join(root, 'claims.db'), masterKey, ...options() });
});
afterEach(async () => {
  await claims.close();
  await rm(root, { recursive: true });
});

const idOf = async (source: string, record: string) => (await claims.profileOf(ref(source, record))) ?? '';
const applied = (observations: Parameters<typeof applyAll>[1], count: number) =>
  claims.apply({ id: null, observations, cause: cause(count) });

test('a subject is all records of its profile with every identifier they ever had', async () => {
  await applyAll(claims, [
    seen('a', '1', 1, { email: 'old@x.org' }),
    seen('a', '1', 2, { email: 'p@x.org' }),
    seen('b', '2', 3, { email: 'p@x.org' }),
    seen('c', '3', 3, { email: 'q@x.org' }),
  ]);
  const id = await idOf('a', '1');
  expect(await claims.subject(id)).toMatchObject({
    entity: 'contact',
    records: [ref('a', '1'), ref('b', '2')],
    identifiers: [email('old@x.org'), email('p@x.org')],
    formerly: [],
    newest: Date.parse('2026-11-01T00:03:00.000Z'),
  });
  expect(await claims.subject('p_00000000000000000000000000000000')).toBeNull();
  await claims.erase(id, cause(4));
  expect(await claims.subject(id)).toMatchObject({ records: [], identifiers: [], events: 0 });
});

test('who was kept out by name or by identifier does not come; nobody is, as long as nobody was', async () => {
  expect(await claims.suppressing()).toBe(false);
  await applyAll(claims, [seen('a', '1', 1, { email: 'p@x.org' })]);
  const subject = await claims.subject(await idOf('a', '1'));
  expect(subject).not.toBeNull();
  await claims.suppress([ref('z', '9')], subject === null ? [] : [subject], cause(2));
  expect(await claims.suppressing()).toBe(true);
  expect(await claims.suppressed('a', 'Contact', ['1', '2'])).toEqual([true, false]);
  expect(await claims.suppressed('z', 'Contact', ['9'])).toEqual([true]);
  expect(await claims.suppressedIdentifiers('contact', [email('p@x.org'), email('q@x.org')])).toEqual([
    true,
    false,
  ]);
  const again = [
    seen('a', '1', 5, { email: 'new@x.org' }),
    seen('d', '4', 5, { email: 'p@x.org' }),
    seen('z', '9', 5, {}),
    seen('e', '5', 5, { email: 'q@x.org' }),
  ];
  expect(await applied(again, 5)).toMatchObject({ suppressed: 3, observed: 1 });
});

test('an identifier that others have too keeps none of them out', async () => {
  await applyAll(claims, [
    seen('a', '1', 1, { email: 'desk@x.org' }),
    seen('b', '2', 1, { email: 'desk@x.org' }),
  ]);
  await claims.unlink(ref('a', '1'), ref('b', '2'), cause(2));
  await claims.erase(await idOf('a', '1'), cause(3));
  expect(await claims.suppressed('a', 'Contact', ['1'])).toEqual([true]);
  expect(await claims.suppressedIdentifiers('contact', [email('desk@x.org')])).toEqual([false]);
  expect(await applied([seen('b', '2', 5, { email: 'desk@x.org', name: 'B' })], 5)).toMatchObject({
    observed: 1,
    suppressed: 0,
  });
  expect(await claims.profile(await idOf('b', '2'))).toMatchObject({ deleted: false });
  expect(await claims.verify()).toMatchObject({ ok: true });
});

test('past its retention a record stays out, and the customer in a new one may come', async () => {
  await applyAll(claims, [seen('a', '1', 1, { email: 'p@x.org' })]);
  await claims.erase(await idOf('a', '1'), cause(3), 'records');
  const again = [seen('a', '1', 5, { email: 'p@x.org' }), seen('a', '2', 5, { email: 'p@x.org' })];
  expect(await applied(again, 5)).toMatchObject({ suppressed: 1, observed: 1 });
});
