import { expect, test } from '@jest/globals';
import { plannedRefresh } from '../../../cli/planned-refresh.ts';
import type { OpenedSource } from '../../../cli/source.ts';
import type { ConnectionConfig } from '../../../config/schema.ts';
import { NOTHING_DUE, withAdded } from '../../../rules/refresh.ts';
import type { Field, ObjectSchema } from '../../../schemas/object-schema.ts';
import type { RefreshState } from '../../../schemas/refresh.ts';

const field = (name: string, calculated = false): Field => ({
  ...{ name, column: name.toLowerCase(), type: { kind: 'string' as const }, sourceType: 'string' },
  ...{ nullable: true, calculated, custom: false },
});
const schemaOf = (...fields: Field[]): ObjectSchema => ({
  ...{ object: 'Contact', table: 'contact', key: 'Id', stamp: 'Stamp', deleted: null, hash: 'h' },
  fields: [field('Id'), field('Stamp'), ...fields],
});
const CHECKPOINT = '2026-11-01T00:00:00.000Z';

function opened(state: RefreshState, described: ObjectSchema, known: ObjectSchema): OpenedSource {
  const ledger = {
    schema: () => Promise.resolve({ schema: known, at: CHECKPOINT }),
    meta: () => Promise.resolve(JSON.stringify(state)),
    quota: () => Promise.resolve({ used: 10, limit: 1_000, at: CHECKPOINT }),
  };
  const source = { describe: () => Promise.resolve(described), count: () => Promise.resolve(4_000) };
  return {
    source,
    ledger,
    definition: { capabilities: { silentFormulas: true } },
  } as unknown as OpenedSource;
}

const connection = (added: 'next-run' | 'ask' = 'next-run') =>
  ({
    name: 'crm',
    refresh: { formulas: 86_400_000, objects: {}, added, quotaShareMax: 0.2 },
    resync: { every: null, objects: { Account: 86_400_000 } },
  }) as unknown as ConnectionConfig;
const fresh = { ...NOTHING_DUE, formulasAt: new Date().toISOString() };

test('plan tells what the next run reads of old rows: rows, calls and their share of a day', async () => {
  const schema = schemaOf(field('B'), field('F', true));
  const due = { ...withAdded(fresh, ['B'], CHECKPOINT, 'run'), formulasAt: null };
  expect(await plannedRefresh(opened(due, schema, schema), connection(), 'Contact', CHECKPOINT)).toBe(
    "the next run also reads only B, F (new fields, formulas): 4,000 rows, about 5 calls, 0.5 % of a day's",
  );
  expect(
    await plannedRefresh(opened(fresh, schema, schema), connection(), 'Contact', CHECKPOINT),
  ).toBeUndefined();
});

test('plan finds a field that no run has seen, and says when old rows get it', async () => {
  const found = opened(fresh, schemaOf(field('New')), schemaOf());
  expect(await plannedRefresh(found, connection(), 'Contact', CHECKPOINT)).toBe(
    "new: New; old rows get it by the run after the next: 4,000 rows, about 5 calls, 0.5 % of a day's",
  );
  expect(await plannedRefresh(found, connection('ask'), 'Contact', CHECKPOINT)).toContain(
    'backfill --fields New',
  );
});

test('plan tells that a whole re-reading is due', async () => {
  const schema = schemaOf(field('B'));
  const whole = { ...fresh, wholeAt: '2026-01-01T00:00:00.000Z' };
  expect(await plannedRefresh(opened(whole, schema, schema), connection(), 'Account', CHECKPOINT)).toBe(
    'full re-sync is due, the last whole reading was at 2026-01-01 00:00',
  );
  expect(
    await plannedRefresh(opened(whole, schema, schema), connection(), 'Contact', CHECKPOINT),
  ).toBeUndefined();
});
