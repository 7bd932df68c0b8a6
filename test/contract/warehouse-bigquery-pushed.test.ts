/** Pushed changes land by the Storage Write API as they would by a load job; where it does not take them, a load job does. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pickPort } from '../../cli/dev/ports.ts';
import type { FieldType } from '../../schemas/object-schema.ts';
import type { Warehouse } from '../../warehouses/warehouse.ts';
import { bqemulatorMissing, openBigquery, startBqemulator } from '../support/bqemulator.ts';
import type { TestBigquery } from '../support/bqemulator.ts';
import { startFakeStorageWrite } from '../support/fake-storage-write.ts';
import { httpCut, type HttpCut } from '../support/http-cut.ts';
import { field, openBench, schemaOf, windowOf, type Bench } from './warehouse-fixture.ts';
import { code, EVOLVE, NAME, row, signal, T, tally } from './warehouse-harness.ts';

const missing = await bqemulatorMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED: pushed changes into BigQuery, ${missing}\n`);
/** One more than a stream takes. */
const MANY = 10_001;

(missing !== undefined ? describe.skip : describe)('pushed changes into BigQuery', () => {
  let server: TestBigquery;
  let bench: Bench;
  let seen: HttpCut;
  let warehouse: Warehouse;
  beforeAll(async () => {
    [server, bench] = await Promise.all([startBqemulator(), openBench()]);
    seen = await httpCut(server.endpoint, { at: 0, side: 'request', forEver: false });
    const { writeEndpoint } = server;
    warehouse = await openBigquery(seen.endpoint, bench.folder, { writeEndpoint });
  }, 90_000);
  afterAll(async () => {
    await warehouse.close();
    await seen.close();
    await bench.close();
    await server.stop();
  });
  const select = async (sql: string): Promise<unknown[][]> => (await warehouse.query(sql, 1_000)).rows;
  const staged = (): Promise<unknown[][]> =>
    select('SELECT table_name FROM _headwater_staging.INFORMATION_SCHEMA.TABLES');
  /** Load jobs that were begun by what is done here. */
  const uploadsOf = async (work: () => Promise<unknown>): Promise<number> => {
    const before = seen.requests.length;
    await work();
    return seen.requests.slice(before).filter((request) => request.startsWith('POST /upload/')).length;
  };

  test('every type comes through a stream as it comes through a load job', async () => {
    const types: [string, FieldType][] = [
      ['Text', { kind: 'string' }],
      ['Whole', { kind: 'integer' }],
      ['Price', { kind: 'decimal', precision: 18, scale: 2 }],
      ['Huge', { kind: 'decimal', precision: 38, scale: 12 }],
      ['Real', { kind: 'double' }],
      ['Flag', { kind: 'boolean' }],
      ['Day', { kind: 'date' }],
      ['Clock', { kind: 'time' }],
      ['At', { kind: 'timestamp' }],
      ['Tree', { kind: 'json' }],
    ];
    const fields = types.map(([name, type]) => field(name, type));
    const csv = [
      ...[
        [
          'a "x"\n😀',
          '-9223372036854775808',
          '-1234567890123456.78',
          '12345678901234567890123456.123456789000',
        ],
        ['', '0', '0.00', '0.000000000001'],
        ['z', '9223372036854775807', '0.01', '-1.5'],
      ],
    ].map((values, at) => [
      ...[
        String(at),
        T(1),
        'false',
        ...values,
        ['1e308', '-0.1', '3.5'][at] ?? '',
        at === 0 ? 'true' : 'false',
      ],
      ...[
        ['0001-01-01', '1969-12-31', '9999-12-31'][at] ?? '',
        ['00:00:00', '23:59:59.999999', '12:30:00.5'][at] ?? '',
      ],
      ['0001-01-01T00:00:00Z', '1969-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z'][at] ?? '',
      '{"a":[1,null,"é"]}',
    ]);
    csv.push(['3', T(1), 'false', ...types.map(() => '')]);
    const roads = ['byid_types', 'w_types'];
    const uploads: number[] = [];
    for (const [at, window] of roads.entries()) {
      const schema = schemaOf(fields, { table: `road_${at}` });
      await warehouse.migrate('crm', schema, EVOLVE);
      const request = await bench.batch(schema, { csv }, { window: windowOf(window), id: `b_${window}` });
      uploads.push(
        await uploadsOf(async () => {
          expect((await warehouse.load(request, signal)).inserted).toBe(4);
        }),
      );
      expect(await warehouse.verify(request)).toEqual({ present: 4, missing: 0 });
    }
    expect(uploads).toEqual([0, 1]);
    const columns = [
      'id',
      ...types.map(([name]) => name.toLowerCase()),
      '_version',
      '_hash',
      '_confirmed_at',
    ];
    const values = columns
      .map((name) => (name === 'tree' ? 'TO_JSON_STRING(tree)' : `\`${name}\``))
      .join(', ');
    const [pushed, loaded] = await Promise.all(
      [0, 1].map((at) => select(`SELECT ${values} FROM crm.road_${at} ORDER BY id`)),
    );
    expect(pushed).toEqual(loaded);
    expect(pushed?.[0]?.slice(1, 5)).toEqual(csv[0]?.slice(3, 7));
    expect(await staged()).toEqual([]);
  });

  test('rows, tombstones and what is set aside: the same batch twice changes nothing', async () => {
    await warehouse.migrate('crm', NAME, EVOLVE);
    const first = await bench.batch(
      NAME,
      { csv: ['1', '2', '3'].map((id) => row(id, 1, 'a')) },
      { window: windowOf('w1'), id: 'b1' },
    );
    await warehouse.load(first, signal);
    await warehouse.verify(first);
    const csv = [row('1', 2, 'newer'), row('2', 0, 'older'), ['4', 'no time', 'false', 'bad']];
    const pushed = await bench.batch(
      NAME,
      { csv, tombstones: [{ id: '3', deletedAt: T(9) }] },
      { window: windowOf('byid_w2'), id: 'b2' },
    );
    const uploads = await uploadsOf(async () => {
      const wanted = { inserted: 0, updated: 2, unchanged: 0, stale: 1 };
      expect(tally(await warehouse.load(pushed, signal))).toEqual(wanted);
      expect(tally(await warehouse.load(pushed, signal))).toEqual({ ...wanted, alreadyApplied: true });
    });
    expect(uploads).toBe(0);
    expect(await select('SELECT id, name, _deleted FROM crm.contact ORDER BY id')).toEqual([
      ['1', 'newer', false],
      ['2', 'a', false],
      ['3', 'a', true],
    ]);
    expect(await select("SELECT record FROM _headwater.quarantine WHERE batch = 'b2'")).toEqual([['4']]);
    // Nobody asks for the proof of a pushed change, so nothing waits for it.
    expect(await staged()).toEqual([]);
  });

  test('more rows than a stream takes go by a load job', async () => {
    const schema = { ...NAME, table: 'many' };
    await warehouse.migrate('crm', schema, EVOLVE);
    const csv = Array.from({ length: MANY }, (_, at) => row(String(at), 1, 'x'));
    for (const [id, rows, wanted] of [
      ['all', csv, 1],
      ['less', csv.slice(1), 0],
    ] as const) {
      const request = await bench.batch(schema, { csv: rows }, { window: windowOf(`byid_${id}`), id });
      expect([id, await uploadsOf(() => warehouse.load(request, signal))]).toEqual([id, wanted]);
    }
    expect(await warehouse.count('crm', 'many')).toBe(MANY);
  });

  test('I7: rows that a stream promised and that are not in the table stop the load: nothing of it lands', async () => {
    const fake = await startFakeStorageWrite();
    const other = await openBigquery(seen.endpoint, bench.folder, { writeEndpoint: fake.endpoint });
    await other.migrate('crm', NAME, EVOLVE);
    const window = windowOf('byid_empty');
    const request = await bench.batch(NAME, { csv: [row('1', 1, 'a')] }, { window, id: 'empty' });
    expect(await code(other.load(request, signal))).toBe('WAREHOUSE_UNAVAILABLE');
    expect([fake.tables.size, await other.count('crm', 'contact')]).toEqual([1, 0]);
    const { rows } = await other.query('SELECT COUNT(*) FROM _headwater.batches', 1);
    expect(rows).toEqual([['0']]);
    await other.close();
    await fake.close();
  });

  test('a service that is away is asked once: load jobs take its place', async () => {
    const writeEndpoint = `http://127.0.0.1:${await pickPort(0)}`;
    const other = await openBigquery(seen.endpoint, bench.folder, { writeEndpoint });
    await other.migrate('crm', NAME, EVOLVE);
    const uploads: number[] = [];
    for (const id of ['1', '2']) {
      const csv = [row(id, 1, 'a')];
      const request = await bench.batch(NAME, { csv }, { window: windowOf(`byid_${id}`), id: `away_${id}` });
      uploads.push(await uploadsOf(() => other.load(request, signal)));
    }
    expect([uploads, await other.count('crm', 'contact')]).toEqual([[1, 1], 2]);
    await other.close();
  });
});
