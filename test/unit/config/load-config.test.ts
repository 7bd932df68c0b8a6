import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { loadConfig } from '../../../config/load-config.ts';
import { HeadwaterError } from '../../../rules/errors.ts';
import { KINDS, valid } from './kinds.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function linesOf(loading: Promise<unknown>): Promise<unknown> {
  const error = await loading.catch((thrown: unknown) => thrown);
  if (!(error instanceof HeadwaterError)) throw new Error('it did not fail as expected', { cause: error });
  expect(error.code).toBe('CONFIG_INVALID');
  return error.details['lines'];
}

test.each([
  ['headwater.config.json', JSON.stringify(valid())],
  ['headwater.config.mjs', `export default ${JSON.stringify(valid())};`],
  ['headwater.config.ts', `const config: object = ${JSON.stringify(valid())};\nexport default config;`],
])('reads %s', async (name, text) => {
  const path = write(name, text);
  const loaded = await loadConfig({ path, kinds: KINDS, environment: {} });
  expect(loaded).toMatchObject({ path, home: join(folder, '.headwater') });
  expect(Object.keys(loaded.config.connections)).toEqual(['acme']);
});

test('the home comes from the option, the environment, or the name of the file', async () => {
  const path = write('acme.config.json', JSON.stringify(valid()));
  const homeOf = async (options: object) =>
    (await loadConfig({ path, kinds: KINDS, environment: {}, ...options })).home;
  expect(await homeOf({})).toBe(join(folder, '.headwater-acme'));
  expect(await homeOf({ environment: { HEADWATER_HOME: '/else' } })).toBe('/else');
  expect(await homeOf({ environment: { HEADWATER_HOME: '/else' }, home: '/this' })).toBe('/this');
});

test.each([
  ['a missing file', 'headwater.config.json', undefined],
  ['broken JSON', 'headwater.config.json', '{'],
  ['a module that throws', 'headwater.config.mjs', 'throw new Error("no such thing\\nsecond line");'],
  ['no default export', 'headwater.config.mjs', 'export const config = {};'],
])('%s is one line', async (_, name, text) => {
  const path = text === undefined ? join(folder, name) : write(name, text);
  const lines = await linesOf(loadConfig({ path, kinds: KINDS, environment: {} }));
  expect(lines).toEqual([expect.stringMatching(/^[^\n]*headwater\.config\.m?js(on)?: [^\n]+$/)]);
});
