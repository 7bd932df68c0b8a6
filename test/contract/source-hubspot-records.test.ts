import { describe, expect, test } from '@jest/globals';
import type { Probe, Source } from '../../sources/source.ts';
import {
  connect,
  connectTo,
  first,
  freshAccount,
  idle,
  MINUTE_MS,
  now,
  ROWS,
  sandbox,
  startAccount,
  windowFrom,
  worldOf,
} from './hubspot-fixture.ts';
import { readPages } from './read-pages.ts';
import { load } from './source-suite.ts';

freshAccount();

const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const never = (): AbortSignal => new AbortController().signal;
const calls = (): number => [...sandbox.stats.values()].reduce((sum, count) => sum + count, 0);

async function probe(source: Source, readFrom: number, object = 'contacts'): Promise<Probe> {
  const request = { object, readFrom: new Date(readFrom).toISOString(), until: now() };
  const [answer] = await source.probe([request], never());
  if (answer === undefined) throw new Error('no probe');
  return answer;
}

describe('more than a search can show', () => {
  const many = 10_300;

  test.each([
    ['spread over two years', false],
    ['within one millisecond', true],
  ])(
    '10,300 changes %s, each once',
    async (_name, oneMillisecond) => {
      const account = await startAccount({ objects: { contacts: many } });
      const { source } = connectTo(account, {
        fields: { contacts: { include: ['email'] } },
        thresholds: { pageRows: 2000 },
      });
      try {
        if (oneMillisecond) account.data.touchMany('contacts', 1);
        account.clock.advance(MINUTE_MS);
        const from = '2001-01-01T00:00:00.000Z';
        const until = new Date(account.clock.now()).toISOString();
        account.clock.advance(10 * MINUTE_MS);
        const loaded = await load(worldOf(source), {
          schema: await source.describe('contacts'),
          from,
          readFrom: from,
          until,
        });
        expect(loaded.countBefore).toBe(many);
        expect(loaded.ids).toHaveLength(many);
        expect(new Set(loaded.ids).size).toBe(many);
      } finally {
        await source.close();
        await account.close();
      }
    },
    60_000,
  );

  test('records that change while their window is read cost no other its place', async () => {
    const source = connect({ thresholds: { pageRows: 50, searchRows: 50 } });
    const from = sandbox.clock.now();
    for (let n = 0; n < 300; n++) sandbox.data.update('contacts', n, { lastname: 'x' }, { at: from + n });
    sandbox.clock.advance(MINUTE_MS);
    const request = await windowFrom(source, from);
    const plan = await source.plan(request);
    const ids = new Set<string>();
    let page = 0;
    for await (const one of readPages(source.extract(request, plan.slices[0]!, idle()))) {
      for (const row of one.rows ?? []) ids.add(row['id'] ?? '');
      // Records already read leave the window: by position, as many unread ones would be skipped.
      for (let n = page * 20; n < page * 20 + 20; n++) sandbox.data.update('contacts', n, { lastname: 'y' });
      page++;
    }
    for (let n = page * 20; n < 300; n++) expect(ids).toContain(sandbox.data.idOf('contacts', n));
  });
});

describe('what the index shows late', () => {
  test('the look-back of the next window brings it, in its version of now', async () => {
    const source = connect();
    sandbox.clock.advance(MINUTE_MS);
    const from = sandbox.clock.now();
    sandbox.clock.advance(MINUTE_MS);
    sandbox.data.update('contacts', 7, { lastname: 'late' }, { lagMs: 40 * MINUTE_MS });
    sandbox.clock.advance(20 * MINUTE_MS);
    const window = await windowFrom(source, from);
    expect((await load(worldOf(source), window)).ids).toEqual([]);
    sandbox.clock.advance(HOUR_MS);
    const lookedBack = { ...(await windowFrom(source, Date.parse(window.until))), readFrom: window.from };
    const loaded = await load(worldOf(source), lookedBack);
    expect(loaded.ids).toEqual([sandbox.data.idOf('contacts', 7)]);
    expect([...loaded.byId.values()][0]?.['lastname']).toBe('late');
    expect(loaded.countBefore).toBe(0);
  });

  test('a first load does not depend on the index', async () => {
    const source = connect();
    const at = sandbox.clock.now();
    const id = sandbox.data.create('contacts', { lastname: 'unindexed' }, { lagMs: 30 * MINUTE_MS });
    sandbox.clock.advance(10 * MINUTE_MS);
    const loaded = await load(worldOf(source), await first(source));
    expect(loaded.ids).toContain(id);
    expect(loaded.ids).toHaveLength(ROWS + 1);
    expect(loaded.countBefore).toBe(ROWS);
    expect(sandbox.clock.now()).toBeGreaterThan(at);
  });
});

describe('archived records', () => {
  test('more than a page of them, in their window only, with their values and as tombstones', async () => {
    const source = connect();
    for (let n = 0; n < 130; n++) sandbox.data.archive('contacts', n);
    sandbox.clock.advance(HOUR_MS);
    const from = sandbox.clock.now();
    sandbox.clock.advance(MINUTE_MS);
    for (let n = 200; n < 330; n++) sandbox.data.archive('contacts', n);
    sandbox.clock.advance(MINUTE_MS);
    const loaded = await load(worldOf(source), await windowFrom(source, from));
    expect(loaded.ids).toHaveLength(130);
    expect(loaded.tombstones.toSorted()).toEqual(loaded.ids.toSorted());
    expect(loaded.countBefore).toBe(130);
    const truth = sandbox.data.get('contacts', 200);
    expect(loaded.byId.get(truth.id)).toMatchObject({ archived: 'true', email: truth.values['email'] });
    expect(loaded.byId.get(truth.id)?.['changedAt']).toBe(new Date(truth.stampMs).toISOString());
  });

  test('a first load has them too, and a later window from before HubSpot’s memory says so', async () => {
    const source = connect();
    sandbox.data.archive('contacts', 5);
    sandbox.clock.advance(MINUTE_MS);
    const loaded = await load(worldOf(source), await first(source));
    expect(loaded.ids).toHaveLength(ROWS);
    expect(loaded.tombstones).toEqual([]);
    expect(loaded.countBefore).toBe(ROWS);
    const answer = await probe(source, sandbox.clock.now() - 100 * DAY_MS);
    expect(answer.idle).toBe(false);
    expect(Date.parse(answer.deletionsKnownFrom ?? '')).toBeGreaterThan(sandbox.clock.now() - 91 * DAY_MS);
    expect((await probe(source, sandbox.clock.now() - DAY_MS)).deletionsKnownFrom).toBeUndefined();
  });

  test('one list serves probe, plan and read of a window', async () => {
    const source = connect();
    const from = sandbox.clock.now();
    sandbox.clock.advance(MINUTE_MS);
    sandbox.data.archive('contacts', 5);
    sandbox.clock.advance(10 * MINUTE_MS);
    const { visibleUntil, idle: isIdle } = await probe(source, from);
    expect(isIdle).toBe(false);
    const start = new Date(from).toISOString();
    const schema = await source.describe('contacts');
    const before = sandbox.stats.get('list contacts') ?? 0;
    await load(worldOf(source), { schema, from: start, readFrom: start, until: visibleUntil });
    expect(sandbox.stats.get('list contacts')).toBe(before);
  });
});

test('a list of archived records from before the window ends does not prove it idle', async () => {
  const source = connect({ lag: '0s' });
  const from = sandbox.clock.now();
  sandbox.clock.advance(2000);
  expect((await probe(source, from)).idle).toBe(true);
  sandbox.data.archive('contacts', 5);
  sandbox.clock.advance(2000);
  expect((await probe(source, from)).idle).toBe(false);
});

describe('merged records', () => {
  test('the new record comes as a row, both old ids as tombstones, and both lead to it', async () => {
    const source = connect();
    const [a, b] = [sandbox.data.idOf('contacts', 1), sandbox.data.idOf('contacts', 2)];
    sandbox.clock.advance(MINUTE_MS);
    const from = sandbox.clock.now();
    sandbox.clock.advance(MINUTE_MS);
    const merged = sandbox.data.merge('contacts', 1, 2);
    sandbox.clock.advance(MINUTE_MS);
    const window = await windowFrom(source, from);
    const loaded = await load(worldOf(source), window);
    expect(loaded.ids).toEqual([merged]);
    expect(loaded.tombstones.toSorted()).toEqual([a, b].toSorted());
    expect(loaded.countBefore).toBe(1);
    const fetched: string[] = [];
    for await (const page of readPages(source.fetch(window.schema, [a, b, merged], never()))) {
      fetched.push(...(page.rows ?? []).map((row) => row['id'] ?? ''));
    }
    expect(fetched).toEqual([merged]);
  });

  test('the tombstones are repeated rather than lost when the page behind them is', async () => {
    const source = connect();
    sandbox.clock.advance(MINUTE_MS);
    const from = sandbox.clock.now();
    sandbox.clock.advance(MINUTE_MS);
    sandbox.data.merge('contacts', 1, 2);
    sandbox.clock.advance(MINUTE_MS);
    const window = await windowFrom(source, from);
    const whole = await load(worldOf(source), window);
    expect(whole.pages.map((page) => page.format)).toEqual(['tombstones', 'json']);
    const rest = await load(worldOf(source), window, { after: whole.pages[0]?.cursor });
    expect(rest.ids).toEqual(whole.ids);
    expect(rest.tombstones).toEqual(whole.tombstones);
  });
});

describe('idle', () => {
  test('two calls for an idle object, one for a busy one; a change too young for the window is not in it', async () => {
    const source = connect();
    sandbox.clock.advance(HOUR_MS);
    const cost = async (readFrom: number) => {
      const before = calls();
      const answer = await probe(source, readFrom);
      return [answer.idle, calls() - before];
    };
    const from = sandbox.clock.now();
    sandbox.clock.advance(HOUR_MS);
    expect(await cost(from)).toEqual([true, 2]);
    sandbox.data.update('contacts', 1, { lastname: 'x' });
    sandbox.clock.advance(MINUTE_MS);
    // The list of archived records of before will do.
    expect(await cost(from)).toEqual([true, 1]);
    sandbox.clock.advance(HOUR_MS);
    expect(await cost(from)).toEqual([false, 1]);
  });
});

test('a clock of ours that is ahead does not let a window end in HubSpot’s future', async () => {
  const { source } = connectTo(sandbox, {}, { now: () => sandbox.clock.now() + HOUR_MS });
  try {
    sandbox.clock.advance(HOUR_MS);
    const from = sandbox.clock.now();
    sandbox.clock.advance(20 * MINUTE_MS);
    sandbox.data.update('contacts', 1, { lastname: 'x' });
    const until = new Date(sandbox.clock.now() + HOUR_MS).toISOString();
    const [answer] = await source.probe(
      [{ object: 'contacts', readFrom: new Date(from).toISOString(), until }],
      never(),
    );
    expect(answer).toMatchObject({ idle: true });
    expect(Date.parse(answer?.visibleUntil ?? '')).toBeLessThanOrEqual(sandbox.clock.now() - 5 * MINUTE_MS);
  } finally {
    await source.close();
  }
});

describe('values', () => {
  test.each([
    ['with names in the path', 0],
    ['with names in the body', 400],
  ])('every property of every record, %s', async (_name, more) => {
    for (let n = 0; n < more; n++) {
      sandbox.data.addProperty(
        'companies',
        `a_rather_long_name_of_a_property_${n}`,
        n % 2 === 0 ? 'string' : 'number',
        true,
      );
    }
    const source = connect({ objects: ['companies'] });
    const request = await first(source, 'companies');
    const loaded = await load(worldOf(source), request);
    expect((sandbox.stats.get('batch/read companies') ?? 0) > 0).toBe(more > 0);
    let seen = 0;
    for await (const truth of sandbox.data.truth('companies')) {
      const row = loaded.byId.get(truth.id) ?? {};
      for (const [name, value] of Object.entries(truth.values)) {
        const type = request.schema.fields.find((field) => field.name === name)?.type.kind;
        expect([name, row[name]]).toEqual([name, value === '' && type !== 'string' ? null : value]);
        seen++;
      }
    }
    expect(seen).toBeGreaterThan(40 * (10 + more));
  });
});
