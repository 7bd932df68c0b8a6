import { expect, test } from '@jest/globals';
import { ledgerPlace, ledgerSchema, ledgerWords } from '../../../config/ledger.ts';
import { parseConfig } from '../../../config/parse-config.ts';
import { z } from 'zod';

const kinds = { sources: {}, warehouses: { duckdb: { config: z.looseObject({}) } } };
const parse = (ledger: unknown) =>
  parseConfig(
    { connections: {}, warehouse: { kind: 'duckdb' }, ledger },
    { file: 'headwater.config.ts', home: '/home', kinds },
  );
const URL_SECRET = { $secret: { env: 'HEADWATER_LEDGER_URL' } };

test('Postgres takes an address as a secret and a schema; without a kind it is a file', () => {
  expect(ledgerSchema.parse({ kind: 'postgres', url: URL_SECRET })).toEqual({
    kind: 'postgres',
    url: URL_SECRET,
    schema: 'headwater',
  });
  expect(parse({ path: 'x.db' })).toMatchObject({
    ok: true,
    config: { ledger: { kind: 'sqlite', path: '/home/x.db' } },
  });
  expect(parse({ kind: 'postgres', url: { $secret: { file: 'ledger-url' } } })).toMatchObject({
    ok: true,
    config: { ledger: { url: { $secret: { file: '/home/ledger-url' } } } },
  });
});

test.each([
  [{ kind: 'postgres', url: 'postgres://me:hunter2@db/x' }, 'ledger.url'],
  [{ kind: 'postgres' }, 'ledger.url'],
  [{ kind: 'postgres', url: URL_SECRET, schema: 'Head Water' }, 'ledger.schema'],
  [{ kind: 'oracle' }, 'ledger.kind'],
  [{ kind: 'postgres', url: URL_SECRET, path: 'ledger.db' }, 'ledger.path'],
])('a mistake is named with its place and without its value: %#', (ledger, place) => {
  const parsed = parse(ledger);
  if (parsed.ok) throw new Error('no mistake');
  expect(parsed.lines.join('\n')).toContain(place);
  expect(parsed.lines.join('\n')).not.toContain('hunter2');
});

test('I5: the address is read when someone connects, and no word for people holds it', () => {
  const ledger = ledgerSchema.parse({ kind: 'postgres', url: URL_SECRET });
  const address = 'postgres://me:hunter2@db/x';
  expect(ledgerPlace({ ledger }, { HEADWATER_LEDGER_URL: address })).toMatchObject({ url: address });
  expect(() => ledgerPlace({ ledger }, {})).toThrow(expect.objectContaining({ code: 'SECRET_MISSING' }));
  expect(ledgerWords({ ledger })).toBe('Postgres, schema headwater');
});
