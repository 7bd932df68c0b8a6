import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import {
  startHubSpotSandbox,
  type HubSpotSandbox,
  type TruthRow,
} from '../../../../sandbox/hubspot/server.ts';

/** Searches of the sandbox against the same question asked of its truth, row by row. */
interface Filter {
  readonly propertyName: string;
  readonly operator: string;
  readonly value?: string;
  readonly highValue?: string;
  readonly values?: readonly string[];
}

const NUMBERS = new Set(['total_revenue', 'num_page_views', 'hs_object_id']);
const TIMES = new Set(['lastmodifieddate', 'createdate', 'notes_last_contacted', 'date_of_birth']);

function keyOf(name: string, text: string): number | string {
  if (NUMBERS.has(name)) return Number(text);
  if (TIMES.has(name)) return /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  return text.toLowerCase();
}

function matches(row: TruthRow, filter: Filter): boolean {
  const { propertyName: name, operator } = filter;
  const text = row.values[name] ?? '';
  if (operator === 'HAS_PROPERTY') return text !== '';
  if (operator === 'NOT_HAS_PROPERTY') return text === '';
  if (text === '') return false;
  const value = keyOf(name, text);
  if (operator === 'IN') return (filter.values ?? []).some((one) => keyOf(name, one) === value);
  const low = keyOf(name, filter.value ?? '');
  switch (operator) {
    case 'EQ':
      return value === low;
    case 'NEQ':
      return value !== low;
    case 'LT':
      return value < low;
    case 'LTE':
      return value <= low;
    case 'GT':
      return value > low;
    case 'GTE':
      return value >= low;
    default:
      return value >= low && value <= keyOf(name, filter.highValue ?? '');
  }
}

const OPERATORS = [
  'EQ',
  'NEQ',
  'LT',
  'LTE',
  'GT',
  'GTE',
  'BETWEEN',
  'IN',
  'HAS_PROPERTY',
  'NOT_HAS_PROPERTY',
];
const NAMES = [...NUMBERS, ...TIMES, 'email', 'city', 'lifecyclestage'];
/** A filter whose values are taken from rows, by number, so that it has something to find. */
const planned = fc.record({
  name: fc.constantFrom(...NAMES),
  operator: fc.constantFrom(...OPERATORS),
  rows: fc.tuple(fc.nat(1000), fc.nat(1000)),
});

function filterFrom(
  plan: { name: string; operator: string; rows: [number, number] },
  truth: TruthRow[],
): Filter {
  const { name, operator, rows } = plan;
  const valued = truth.filter((row) => (row.values[name] ?? '') !== '');
  const texts = rows.map((n) => valued[n % valued.length]!.values[name]!);
  const [low, high] = texts.toSorted((a, b) => (keyOf(name, a) < keyOf(name, b) ? -1 : 1));
  if (operator.endsWith('PROPERTY')) return { propertyName: name, operator };
  if (operator === 'IN') return { propertyName: name, operator, values: texts };
  const ordered = NUMBERS.has(name) || TIMES.has(name);
  const fits = ordered || name !== 'lifecyclestage' ? operator : 'EQ';
  return { propertyName: name, operator: fits, value: low!, highValue: high! };
}

let sandbox: HubSpotSandbox;

beforeAll(async () => {
  sandbox = await startHubSpotSandbox({
    objects: { contacts: 150 },
    records: 200,
    seed: 9,
    stampTies: 3,
  });
  Object.assign(sandbox.behaviour, { tenSecondCallsMax: 100_000, searchesPerSecondMax: 100_000 });
});
afterAll(() => sandbox.close());

test('any groups of filters find what a scan of the truth finds, in the order that was asked for', async () => {
  sandbox.living.run(200);
  const truth: TruthRow[] = [];
  for await (const row of sandbox.data.truth('contacts')) if (!row.archived) truth.push(row);
  const groups = fc.array(fc.array(planned, { minLength: 1, maxLength: 3 }), { maxLength: 3 });
  const sorts = fc.constantFrom(
    'lastmodifieddate',
    '-lastmodifieddate',
    'createdate',
    'hs_object_id',
    '-email',
  );
  await fc.assert(
    fc.asyncProperty(groups, sorts, async (plans, sort) => {
      const filterGroups = plans.map((list) => ({ filters: list.map((plan) => filterFrom(plan, truth)) }));
      const answer = await fetch(`${sandbox.url}/crm/v3/objects/contacts/search`, {
        method: 'POST',
        headers: { authorization: `Bearer ${sandbox.privateToken}` },
        body: JSON.stringify({
          filterGroups,
          sorts: [sort],
          limit: 200,
          properties: [sort.replace('-', '')],
        }),
      });
      const page: { total: number; results: { id: string; properties: Record<string, string | null> }[] } =
        JSON.parse(await answer.text());
      const expected = truth.filter(
        (row) =>
          filterGroups.length === 0 ||
          filterGroups.some(({ filters }) => filters.every((one) => matches(row, one))),
      );
      expect(page.results.map(({ id }) => id).toSorted()).toEqual(
        expected
          .map(({ id }) => id)
          .toSorted()
          .slice(0, 200),
      );
      expect(page.total).toBe(expected.length);
      const name = sort.replace('-', '');
      const keys = page.results.map(({ properties }) => keyOf(name, properties[name] ?? ''));
      const sign = sort.startsWith('-') ? -1 : 1;
      const known = keys.filter((key) => key !== '');
      expect(known).toEqual(known.toSorted((a, b) => sign * (a < b ? -1 : a > b ? 1 : 0)));
    }),
    { numRuns: 150 },
  );
});
