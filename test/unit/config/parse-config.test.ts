import { describe, expect, test } from '@jest/globals';
import { parseConfig } from '../../../config/parse-config.ts';
import { isRecord } from '../../../config/secrets.ts';
import { KINDS, valid } from './kinds.ts';

function lines(input: unknown): string[] {
  const parsed = parseConfig(input, { file: 'f.ts', home: '/home', kinds: KINDS });
  return parsed.ok ? [] : parsed.lines;
}

/** The valid configuration with one value set at a path. */
function withValue(path: string[], value: unknown): Record<string, unknown> {
  const input = valid();
  let at = input;
  for (const key of path.slice(0, -1)) {
    const next = (at[key] ??= {});
    if (!isRecord(next)) throw new Error(`${key} is no object`);
    at = next;
  }
  const last = path.at(-1) ?? '';
  if (value === undefined) delete at[last];
  else at[last] = value;
  return input;
}

const ACME = ['connections', 'acme'];

describe('each mistake is one line', () => {
  test.each<[string, string[], unknown, string]>([
    [
      'a duration',
      [...ACME, 'schedule', 'every'],
      '1x',
      `f.ts: connections.acme.schedule.every: "1x" is not a duration. Write for example '1h' or '15m'.`,
    ],
    [
      'a duration that is too short',
      [...ACME, 'schedule', 'every'],
      '1ms',
      `f.ts: connections.acme.schedule.every: "1ms" is too short. Write at least '1s'.`,
    ],
    [
      'a number for a duration',
      [...ACME, 'schedule', 'every'],
      60,
      'f.ts: connections.acme.schedule.every: 60 is not possible here. Write text.',
    ],
    [
      'a word of a list',
      [...ACME, 'schedule', 'overlap'],
      'BUFER_ALL',
      `f.ts: connections.acme.schedule.overlap: "BUFER_ALL" is not possible here. Did you mean 'BUFFER_ALL'? Write 'BUFFER_ONE', 'SKIP' or 'BUFFER_ALL'.`,
    ],
    [
      'an unknown key',
      [...ACME, 'shedule'],
      {},
      'f.ts: connections.acme.shedule: is unknown. Did you mean schedule?',
    ],
    [
      'an unknown key far from any',
      [...ACME, 'policy', 'zzzzzz'],
      1,
      'f.ts: connections.acme.policy.zzzzzz: is unknown. Known here: tables, columns, types.',
    ],
    [
      'a missing key',
      [...ACME, 'objects'],
      undefined,
      `f.ts: connections.acme.objects: is missing. Write 'all' or a list such as ['Account', 'Contact'].`,
    ],
    [
      'a missing part',
      ['warehouse'],
      undefined,
      "f.ts: warehouse: is missing. Write where rows land, such as { kind: 'duckdb', path: 'warehouse.duckdb' }.",
    ],
    [
      'an empty list',
      [...ACME, 'objects'],
      [],
      'f.ts: connections.acme.objects: A list is not possible here. Write a list of at least 1.',
    ],
    [
      'a share above one',
      [...ACME, 'badRows', 'shareMax'],
      2,
      'f.ts: connections.acme.badRows.shareMax: 2 is not possible here. Write at most 1.',
    ],
    [
      'a size',
      ['stage', 'bytesMax'],
      '10 apples',
      `f.ts: stage.bytesMax: "10 apples" is not a size. Write for example '10GB' or '512MB'.`,
    ],
    [
      'a connection name',
      ['connections', 'Bad-name'],
      { kind: 'crm', objects: 'all', auth: { grant: 'token', token: 'x' } },
      'f.ts: connections.Bad-name: is not a connection name. Write a to z, 0 to 9 and _, a letter first, at most 40 characters.',
    ],
    [
      'the reserved name',
      ['connections', '_headwater'],
      { kind: 'crm', objects: 'all', auth: { grant: 'token', token: 'x' } },
      'f.ts: connections._headwater: is not a connection name. Write a to z, 0 to 9 and _, a letter first, at most 40 characters.',
    ],
    [
      'a kind',
      [...ACME, 'kind'],
      'crn',
      `f.ts: connections.acme.kind: "crn" is not a kind that Headwater knows. Did you mean 'crm'? Known: crm.`,
    ],
    [
      'a key of the source',
      [...ACME, 'auth', 'id'],
      undefined,
      'f.ts: connections.acme.auth.id: is missing. Write text.',
    ],
    [
      'a choice of the source',
      [...ACME, 'auth', 'grant'],
      'tokn',
      `f.ts: connections.acme.auth.grant: "tokn" is not possible here. Did you mean 'token'? Write 'client' or 'token'.`,
    ],
    [
      "a pattern in the source's words",
      [...ACME, 'version'],
      '7',
      'f.ts: connections.acme.version: "7" is not possible here: write a version such as 66.0.',
    ],
    [
      'a secret where none can be',
      [...ACME, 'pageRows'],
      { $secret: { env: 'ROWS' } },
      'f.ts: connections.acme.pageRows: a secret reference is not possible here. Write the value.',
    ],
    [
      'a key of the warehouse',
      ['warehouse', 'pat'],
      'x',
      'f.ts: warehouse.pat: is unknown. Did you mean path?',
    ],
    [
      'another kind of warehouse',
      ['warehouse', 'kind'],
      'duckdbb',
      `f.ts: warehouse.kind: "duckdbb" is not a kind that Headwater knows. Did you mean 'duckdb'? Known: duckdb.`,
    ],
  ])('%s', (_, path, value, line) => {
    expect(lines(withValue(path, value))).toEqual([line]);
  });

  test('several mistakes are several lines', () => {
    const input = withValue([...ACME, 'schedule', 'every'], '1x');
    input['warehous'] = {};
    expect(lines(input)).toHaveLength(2);
  });

  test('what is no object at all', () => {
    expect(lines([])).toEqual(['f.ts: A list is not possible here. Write an object { … }.']);
  });

  test('a wrong value under a sensitive key is not repeated', () => {
    const told = lines(withValue([...ACME, 'auth', 'secret'], 12_345)).join('\n');
    expect(told).toBe('f.ts: connections.acme.auth.secret: The value is not possible here. Write text.');
  });
});

describe('a valid configuration', () => {
  test('gets its defaults and absolute paths, and keeps its secrets as references', () => {
    const parsed = parseConfig(valid(), { file: 'f.ts', home: '/home', kinds: KINDS });
    expect(parsed).toEqual({
      ok: true,
      config: {
        conflicts: {},
        connections: {
          acme: {
            name: 'acme',
            kind: 'crm',
            schedule: {
              everyMs: 3_600_000,
              jitterMs: 30_000,
              overlap: 'BUFFER_ONE',
              catchupMs: 3_600_000,
              paused: false,
            },
            objects: ['Contact'],
            exclude: [],
            fields: {},
            lagMs: 300_000,
            lookbackMs: 600_000,
            limits: {
              perSecond: 25,
              burst: 500,
              quotaShareMax: { webhook: 0.95, hourly: 0.9, backfill: 0.7 },
            },
            policy: { tables: 'evolve', columns: 'evolve', types: 'evolve' },
            badRows: { shareMax: 0.01, rowsMax: 100 },
            refresh: { formulas: 86_400_000, objects: {}, added: 'next-run', quotaShareMax: 0.2 },
            audit: {
              ...{ everyMs: 3_600_000, fullPassMs: 604_800_000, sampleRows: 1_000 },
              ...{ quotaShareMax: 0.05, repair: true },
            },
            freshness: { objects: {} },
            resync: { every: null, objects: {} },
            source: { auth: { grant: 'client', id: 'me', secret: { $secret: { env: 'ACME_SECRET' } } } },
          },
        },
        warehouse: { kind: 'duckdb', options: { kind: 'duckdb', path: '/home/w.duckdb' } },
        stage: { kind: 'disk', path: '/home/stage', keepMs: 604_800_000, bytesMax: 10e9, freeBytesMin: 1e9 },
        ledger: { kind: 'sqlite', path: '/home/ledger.db' },
        retention: 90 * 86_400_000,
        temporal: { taskQueue: 'headwater' },
        worker: { memoryMb: 640, threads: 2, objectsInParallel: 4 },
      },
    });
  });

  test('takes a secret where the source asks for a URL, and makes secret files absolute', () => {
    const parsed = parseConfig(withValue([...ACME, 'url'], { $secret: { file: 'url.txt' } }), {
      file: 'f.ts',
      home: '/home',
      kinds: KINDS,
    });
    expect(parsed.ok && parsed.config.connections['acme']?.source['url']).toEqual({
      $secret: { file: '/home/url.txt' },
    });
  });

  test('one share of the quota becomes one per class of call', () => {
    const parsed = parseConfig(withValue([...ACME, 'limits', 'quotaShareMax'], 0.5), {
      file: 'f.ts',
      home: '/h',
      kinds: KINDS,
    });
    const limits = parsed.ok ? parsed.config.connections['acme']?.limits.quotaShareMax : undefined;
    expect(limits).toEqual({ webhook: 0.95, hourly: 0.5, backfill: 0.5 });
  });
});
