import { describe, expect, test } from '@jest/globals';
import { onlyFields } from '../../rules/refresh.ts';
import type { LoadRequest } from '../../warehouses/warehouse.ts';
import { field, schemaOf, windowOf, type Rows } from './warehouse-fixture.ts';
import { code, EVOLVE, row, signal, T, tally, type Harness } from './warehouse-harness.ts';

const WHOLE = schemaOf([
  field('Name'),
  field('Tier'),
  field('Points', { kind: 'decimal', precision: 6, scale: 2 }),
]);
const LATER = '2026-06-01T00:02:00.000Z';
const LATEST = '2026-06-01T00:03:00.000Z';

/** A batch of some fields, as the steps hand it over: the file holds these, the schema is the whole one. */
async function partial(
  h: Harness,
  fields: string[],
  rows: Rows,
  {
    id = `p_${fields.join('_')}`,
    confirmedAt = LATER,
    batch,
  }: { id?: string; confirmedAt?: string; batch?: string } = {},
): Promise<LoadRequest> {
  const window = windowOf(id, { kind: 'past', fields });
  const made = await h.bench.batch(onlyFields(WHOLE, fields), rows, {
    window,
    confirmedAt,
    id: batch ?? `b_${id}`,
  });
  return { ...made, schema: WHOLE };
}

const everything = (h: Harness) =>
  h.select(
    'SELECT id, name, tier, points::VARCHAR, _deleted, extract(epoch FROM _version)::INTEGER FROM crm.contact ORDER BY id',
  );

/** Some fields of all records: never null the rest, never go behind a newer version, twice is once. */
export function partialTests(h: Harness): void {
  describe('partial windows', () => partialWindowTests(h));
}

function partialWindowTests(h: Harness): void {
  const before = async (): Promise<void> => {
    await h.load({ csv: [row('1', 1, 'a'), row('2', 2, 'b'), row('3', 3, 'c', true)] });
    await h.warehouse.migrate('crm', WHOLE, EVOLVE);
  };
  const tiers: Rows = {
    csv: [
      ['1', T(1), 'false', 'gold'],
      ['2', T(2), 'false', null],
      ['3', T(3), 'true', 'iron'],
    ],
  };

  test('a partial batch sets its columns and leaves all others as they are', async () => {
    await before();
    const request = await partial(h, ['Tier'], tiers);
    expect(tally(await h.warehouse.load(request, signal))).toEqual({
      ...{ inserted: 0, updated: 2, unchanged: 1, stale: 0 },
    });
    expect(await everything(h)).toEqual([
      ['1', 'a', 'gold', null, false, Date.parse(T(1)) / 1_000],
      ['2', 'b', null, null, false, Date.parse(T(2)) / 1_000],
      ['3', 'c', 'iron', null, true, Date.parse(T(3)) / 1_000],
    ]);
    expect(await h.warehouse.verify(request)).toEqual({ present: 3, missing: 0 });
    expect(
      await h.select(
        "SELECT inserted::INTEGER, updated::INTEGER, unchanged::INTEGER FROM _headwater.batches WHERE batch = 'b_p_Tier'",
      ),
    ).toEqual([[0, 2, 1]]);
  });

  test('the same partial batch twice is a no-op, and the same values again change nothing', async () => {
    await before();
    const request = await partial(h, ['Tier'], tiers);
    const first = tally(await h.warehouse.load(request, signal));
    expect(tally(await h.warehouse.load(request, signal))).toEqual({ ...first, alreadyApplied: true });
    const again = await partial(h, ['Tier'], tiers, { id: 'p_again', confirmedAt: LATEST });
    expect(tally(await h.warehouse.load(again, signal))).toEqual({
      ...{ inserted: 0, updated: 0, unchanged: 3, stale: 0 },
    });
    expect(
      await h.select(
        "SELECT count(*)::INTEGER FROM crm.contact WHERE _confirmed_at = TIMESTAMPTZ '" + LATEST + "'",
      ),
    ).toEqual([[3]]);
  });

  test('a newer version, and a later reading of the same one, stay; no row is made', async () => {
    await before();
    const newer = ['1', T(9), 'false', 'new', 'own', '1.50'];
    const request = await h.bench.batch(WHOLE, { csv: [newer] }, { window: windowOf('w9'), id: 'b9' });
    await h.warehouse.load(request, signal);
    const old = await partial(h, ['Tier'], {
      csv: [
        ['1', T(1), 'false', 'old'],
        ['77', T(1), 'false', 'nobody'],
      ],
    });
    expect(tally(await h.warehouse.load(old, signal))).toEqual({
      ...{ inserted: 0, updated: 0, unchanged: 0, stale: 2 },
    });
    const late = await partial(
      h,
      ['Tier'],
      { csv: [['2', T(2), 'false', 'late']] },
      { id: 'p2', confirmedAt: LATEST },
    );
    await h.warehouse.load(late, signal);
    const early = await partial(
      h,
      ['Tier'],
      { csv: [['2', T(2), 'false', 'early']] },
      { id: 'p3', confirmedAt: LATER },
    );
    expect(tally(await h.warehouse.load(early, signal))).toMatchObject({ updated: 0, stale: 1 });
    expect((await everything(h)).slice(0, 2)).toEqual([
      ['1', 'new', 'own', '1.50', false, Date.parse(T(9)) / 1_000],
      ['2', 'b', 'late', null, false, Date.parse(T(2)) / 1_000],
    ]);
    expect((await everything(h)).length).toBe(3);
  });

  test('a key that is missing or older is a hole, unless it was set aside', async () => {
    await before();
    const rows: Rows = {
      csv: [
        ['1', T(5), 'false', 'x'],
        ['77', T(1), 'false', 'x'],
        ['2', T(2), 'false', 'x'],
      ],
    };
    const request = await partial(h, ['Tier'], rows);
    expect(tally(await h.warehouse.load(request, signal))).toMatchObject({ updated: 1, stale: 2 });
    expect(await h.warehouse.verify(request)).toEqual({ present: 1, missing: 2 });
    const bad = await h.bench.batch(
      WHOLE,
      {
        csv: [
          ['1', T(5), 'false', 'x', 'x', 'many'],
          ['77', T(1), 'false', 'x', 'x', 'few'],
          ['5', T(1), 'false', 'e', 'e', '1'],
        ],
      },
      { window: windowOf('w_bad'), id: 'b_bad' },
    );
    await h.warehouse.load(bad, signal);
    expect(await h.warehouse.verify(request)).toEqual({ present: 3, missing: 0 });
  });

  test('a whole reading after it never takes a changed row for unchanged', async () => {
    await before();
    const whole = (confirmedAt: string, id: string, tier: string) =>
      h.bench.batch(
        WHOLE,
        { csv: [['1', T(1), 'false', 'a', tier, '1.00']] },
        { window: windowOf(id), confirmedAt, id: `b_${id}` },
      );
    await h.warehouse.load(await whole(LATER, 'w2', 'old'), signal);
    await h.warehouse.load(
      await partial(h, ['Tier'], { csv: [['1', T(1), 'false', 'new']] }, { confirmedAt: LATER }),
      signal,
    );
    expect((await everything(h))[0]?.[2]).toBe('new');
    expect(tally(await h.warehouse.load(await whole(LATEST, 'w3', 'old'), signal))).toMatchObject({
      updated: 1,
    });
    expect((await everything(h))[0]?.[2]).toBe('old');
  });

  test('ids alone confirm what is there; what they did not see is retired, and comes back when it is seen', async () => {
    await before();
    const ids: Rows = {
      csv: [
        ['1', T(1), 'false'],
        ['3', T(3), 'true'],
      ],
    };
    const request = await partial(h, [], ids, { id: 'p_ids' });
    expect(tally(await h.warehouse.load(request, signal))).toMatchObject({ updated: 0, unchanged: 2 });
    const retire = (rowsMax: number) =>
      h.warehouse.retire({
        window: request.window,
        schema: WHOLE,
        readAt: LATER,
        exceptIds: [],
        rowsMax,
        shareMax: 0.1,
      });
    expect(await code(retire(0))).toBe('SHRINK_GUARD');
    expect(await h.select('SELECT count(*)::INTEGER FROM crm.contact WHERE _deleted')).toEqual([[1]]);
    expect(await retire(10)).toBe(1);
    expect((await everything(h))[1]).toMatchObject({ 0: '2', 1: 'b', 4: true });
    const seen = await partial(h, [], { csv: [['2', T(2), 'false']] }, { id: 'p_seen', confirmedAt: LATEST });
    expect(tally(await h.warehouse.load(seen, signal))).toMatchObject({ updated: 1 });
    expect((await everything(h))[1]).toMatchObject({ 0: '2', 1: 'b', 4: false });
  });

  test('an older attempt of a partial window is refused', async () => {
    await before();
    const request = await partial(h, ['Tier'], tiers);
    await h.warehouse.load({ ...request, window: { ...request.window, attempt: 2 } }, signal);
    const other = await partial(h, ['Tier'], tiers, { batch: 'b_other' });
    expect(await code(h.warehouse.load(other, signal))).toBe('ATTEMPT_OUTDATED');
  });
}
