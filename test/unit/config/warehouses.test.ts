import { expect, test } from '@jest/globals';
import { sinkOf } from '../../../config/connection-config.ts';
import { parseConfig } from '../../../config/parse-config.ts';
import type { Config } from '../../../config/schema.ts';
import { allWarehouses, sinkName, warehouseNamed } from '../../../config/warehouses.ts';
import { KINDS } from './kinds.ts';

const duckdb = (path: string) => ({ kind: 'duckdb', path });

function parse(part: object) {
  return parseConfig({ connections: {}, ...part }, { file: 'f.ts', home: '/home', kinds: KINDS });
}

function config(part: object): Config {
  const parsed = parse(part);
  if (parsed.ok) return parsed.config;
  throw new Error(parsed.lines.join('\n'));
}

test('a single warehouse goes on under the name of its kind', () => {
  const one = config({ warehouse: duckdb('w.duckdb') });
  expect(sinkOf(one)).toBe('duckdb');
  expect(one.warehouse).toEqual({ kind: 'duckdb', options: duckdb('/home/w.duckdb') });
  expect(one).not.toHaveProperty('copies');
});

test('of several the first is the main one; each has its own name, paths and options', () => {
  const several = config({ warehouses: { main: duckdb('w.duckdb'), copy: duckdb('/big/c.duckdb') } });
  expect(sinkOf(several)).toBe('main');
  expect(allWarehouses(several).map(sinkName)).toEqual(['main', 'copy']);
  expect(several.copies).toEqual([{ kind: 'duckdb', name: 'copy', options: duckdb('/big/c.duckdb') }]);
  expect(warehouseNamed(several, 'copy').options).toEqual(duckdb('/big/c.duckdb'));
  expect(() => warehouseNamed(several, 'cpy')).toThrow(
    expect.objectContaining({ code: 'INPUT_INVALID', remedy: 'Did you mean copy?' }),
  );
});

test.each<[string, object, string]>([
  ['none', {}, 'f.ts: warehouse: is missing. Write where rows land'],
  ['an empty list', { warehouses: {} }, 'f.ts: warehouses: is empty.'],
  [
    'both forms',
    { warehouse: duckdb('a'), warehouses: { main: duckdb('b') } },
    'f.ts: warehouse: and `warehouses` exclude each other.',
  ],
  [
    'I2: one place under two names',
    { warehouses: { main: duckdb('a'), copy: { path: 'a', kind: 'duckdb' } } },
    'f.ts: warehouses.copy: is the same place as main.',
  ],
  ['an unknown kind', { warehouses: { main: { kind: 'duckbd' } } }, 'f.ts: warehouses.main.kind: '],
  [
    'what its schema refuses',
    { warehouses: { main: duckdb('a'), copy: { kind: 'duckdb' } } },
    'f.ts: warehouses.copy.path: ',
  ],
  ['the name of the claims', { warehouses: { claims: duckdb('a') } }, 'is not a name of a warehouse'],
])('%s is refused in one line', (_, part, line) => {
  const parsed = parse(part);
  expect(parsed.ok).toBe(false);
  const lines = parsed.ok ? [] : parsed.lines;
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(line);
});
