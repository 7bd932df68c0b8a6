/** What whoever serves profiles asks of any claims store. */
import { expect, test } from '@jest/globals';
import type { Observation } from '../../schemas/observation.ts';
import { applyAll, cause, minute, ref, seen, type ClaimsFactory } from './claims-fixture.ts';

function order(record: string, contact: string, stamp: number): Observation {
  return {
    ...seen('crm', record, stamp, { contact: `crm:Contact:${contact}`, owner: 'crm:User:1', total: '1.00' }),
    entity: 'order',
    ref: { source: 'crm', object: 'Order', record },
    identifiers: [],
  };
}

export function servingSuite(factory: ClaimsFactory): void {
  test('serves exactly what is asked, with aliases and when each record was last confirmed', async () => {
    const store = await factory.create();
    const claims = await store.open();
    await applyAll(claims, [
      seen('a', '1', 1, { email: 'a@x.org' }),
      seen('b', '2', 2, { email: 'b@x.org' }),
    ]);
    const [one, two] = [await claims.profileOf(ref('a', '1')), await claims.profileOf(ref('b', '2'))];
    await claims.link(ref('a', '1'), ref('b', '2'), cause(3));
    await claims.confirm('b', 'Contact', ['2'], minute(9));
    const [alive, merged, ...others] = await claims.served([one ?? '', two ?? '', 'p_unknown']);
    expect(others).toEqual([]);
    expect(alive?.profile).toEqual((await claims.current([one ?? '']))[0]);
    expect(alive?.aliases).toEqual([two]);
    expect(alive?.profile.records.map(({ record }) => record)).toEqual(['1', '2']);
    expect(alive?.confirmedAt).toEqual([minute(1), minute(9)]);
    expect(merged).toMatchObject({
      profile: { mergedInto: one, deleted: true },
      aliases: [],
      confirmedAt: [],
    });
    await claims.close();
    await store.destroy();
  });

  test('finds profiles by what their records refer to, newest first, and none of an erased one', async () => {
    const store = await factory.create();
    const claims = await store.open();
    await applyAll(claims, [order('o1', 'ann', 1), order('o2', 'ann', 2), order('o3', 'bob', 3)]);
    await applyAll(claims, [order('o3', 'ann', 4)]);
    const id = async (record: string) =>
      (await claims.profileOf({ source: 'crm', object: 'Order', record })) ?? '';
    const [o1, o2, o3] = [await id('o1'), await id('o2'), await id('o3')];
    const contact = (record: string) => ({ source: 'crm', object: 'Contact', record });
    expect(await claims.referring('order', [contact('ann')], 10)).toEqual([o3, o2, o1]);
    expect(await claims.referring('order', [contact('ann'), contact('bob')], 2)).toEqual([o3, o2]);
    // What it once said still leads to it: its golden values say that it does no longer.
    expect(await claims.referring('order', [contact('bob')], 10)).toEqual([o3]);
    expect(await claims.referring('activity', [contact('ann')], 10)).toEqual([]);
    expect(await claims.referring('order', [{ source: 'crm', object: 'User', record: '1' }], 10)).toEqual([]);
    await claims.erase(o2, cause(5));
    expect(await claims.referring('order', [contact('ann')], 10)).toEqual([o3, o1]);
    await claims.close();
    await store.destroy();
  });
}
