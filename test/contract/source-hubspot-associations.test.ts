import { expect, test } from '@jest/globals';
import { connect, failure, freshAccount, idle, MINUTE_MS, now, sandbox, worldOf } from './hubspot-fixture.ts';
import { readPages } from './read-pages.ts';
import { load, type Loaded } from './source-suite.ts';

freshAccount({ associationPageRowsMax: 3 });

const DAY_MS = 86_400_000;
const PAIR = 'contacts~companies';

const source = (associationIds = 150) => connect({ objects: [PAIR], thresholds: { associationIds } });

async function swept(object = PAIR, of = source()): Promise<Loaded> {
  const from = new Date(sandbox.clock.now() - DAY_MS).toISOString();
  const loaded = await load(worldOf(of), {
    schema: await of.describe(object),
    from,
    readFrom: from,
    until: now(),
  });
  expect(loaded.countBefore).toBe('unknown');
  expect(new Set(loaded.ids).size).toBe(loaded.ids.length);
  return loaded;
}

test('both directions have the same pairs, each record’s pages included', async () => {
  const forth = await swept();
  const back = await swept('companies~contacts');
  const ends = (loaded: Loaded, from: string, to: string) =>
    new Set([...loaded.byId.values()].map((row) => `${row[from]}/${row[to]}`));
  expect(forth.ids.length).toBeGreaterThan(100);
  expect(forth.pages.length).toBeGreaterThan(2);
  expect(ends(forth, 'fromId', 'toId')).toEqual(ends(back, 'toId', 'fromId'));
});

test('what is joined and parted since is in the next sweep, although no modified date moved', async () => {
  const before = await swept();
  const [contact, company] = [sandbox.data.idOf('contacts', 1), sandbox.data.idOf('companies', 39)];
  const joined = [...before.byId.values()].find((row) => row['fromId'] !== contact);
  const stamp = sandbox.data.get('contacts', contact).stampMs;
  sandbox.data.associate('contacts', contact, 'companies', company);
  sandbox.data.dissociate('contacts', joined?.['fromId'] ?? '', 'companies', joined?.['toId'] ?? '');
  expect(sandbox.data.get('contacts', contact).stampMs).toBe(stamp);
  const after = await swept();
  const of = (loaded: Loaded, from: string, to: string) =>
    loaded.ids.filter((id) => id.startsWith(`${from}:${to}:`));
  expect(of(before, contact, company)).toEqual([]);
  expect(of(after, contact, company).length).toBeGreaterThan(0);
  expect(of(after, joined?.['fromId'] ?? '', joined?.['toId'] ?? '')).toEqual([]);
});

test('a sweep goes on from any of its pages', async () => {
  const of = source(100);
  const whole = await swept(PAIR, of);
  const request = { schema: await of.describe(PAIR), from: now(), readFrom: now(), until: now() };
  for (let stop = 1; stop < whole.pages.length; stop++) {
    const rest = await load(worldOf(of), request, { after: whole.pages[stop - 1]?.cursor });
    const head = whole.pages.slice(0, stop).flatMap((page) => (page.rows ?? []).map((row) => row['id']));
    expect([...head, ...rest.ids].toSorted()).toEqual(whole.ids.toSorted());
  }
});

test('windows close once a day, and nothing is ever claimed to be idle', async () => {
  const of = source();
  const visible = async () => {
    const readFrom = new Date(sandbox.clock.now() - 3 * DAY_MS).toISOString();
    const [probe] = await of.probe([{ object: PAIR, readFrom, until: now() }], new AbortController().signal);
    expect(probe?.idle).toBe(false);
    return probe?.visibleUntil ?? '';
  };
  const today = await visible();
  expect(today).toMatch(/T00:00:00.000Z$/);
  sandbox.clock.advance(DAY_MS);
  expect(Date.parse(await visible()) - Date.parse(today)).toBe(DAY_MS);
});

test('single associations are read by their keys; stamps there are none', async () => {
  const of = source();
  const schema = await of.describe(PAIR);
  const some = (await swept()).ids.slice(0, 20);
  const read: string[] = [];
  for await (const page of readPages(of.fetch(schema, [...some, '1:2:HUBSPOT_DEFINED:3'], idle().signal))) {
    read.push(...(page.rows ?? []).map((row) => row['id'] ?? ''));
  }
  expect(read.toSorted()).toEqual(some.toSorted());
  for await (const stamps of of.stamps(schema, { from: now(), until: now() }, idle().signal))
    expect(stamps).toEqual([]);
});

test('a sweep that breaks off is no success', async () => {
  sandbox.faults.add({
    match: { path: '/associations/', nth: 2 },
    action: { truncateAfterBytes: 500, clean: true },
  });
  sandbox.clock.advance(MINUTE_MS);
  expect((await failure(swept())).code).toBe('SOURCE_PROTOCOL');
});
