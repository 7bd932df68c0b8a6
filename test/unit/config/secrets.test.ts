import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { configFor, sourceConfig } from '../../../config/connection-config.ts';
import { env, file } from '../../../config/define-config.ts';
import { parseConfig } from '../../../config/parse-config.ts';
import { resolveSecrets } from '../../../config/secrets.ts';
import { HeadwaterError } from '../../../rules/errors.ts';
import { KINDS, valid } from './kinds.ts';

function failure(action: () => unknown): HeadwaterError {
  try {
    action();
  } catch (error) {
    if (error instanceof HeadwaterError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

function acme() {
  const parsed = parseConfig(valid(), { file: 'f.ts', home: '/home', kinds: KINDS });
  if (!parsed.ok) throw new Error(parsed.lines.join('\n'));
  return parsed.config;
}

test('references are resolved at any depth, everything else stays', () => {
  const folder = mkdtempSync(join(tmpdir(), 'secret-'));
  const path = join(folder, 'key');
  writeFileSync(path, 'line 1\nline 2\n');
  const value = { auth: { key: file(path), ids: [env('ID'), 7] }, plain: 'text' };
  expect(resolveSecrets(value, 'at', { ID: 'me' })).toEqual({
    auth: { key: 'line 1\nline 2', ids: ['me', 7] },
    plain: 'text',
  });
  rmSync(folder, { recursive: true });
});

test.each([
  [
    'a variable that is not set',
    env('NOWHERE'),
    'environment variable NOWHERE is not set (connections.acme.auth.secret)',
  ],
  [
    'a variable that is empty',
    env('EMPTY'),
    'environment variable EMPTY is not set (connections.acme.auth.secret)',
  ],
  [
    'a file that is not there',
    file('/none/such'),
    'file /none/such cannot be read: ENOENT (connections.acme.auth.secret)',
  ],
])('%s names itself and its place', (_, reference, message) => {
  const error = failure(() =>
    resolveSecrets({ auth: { secret: reference } }, 'connections.acme', { EMPTY: '' }),
  );
  expect(error).toMatchObject({ code: 'SECRET_MISSING', message });
});

test('the connection is complete once its secrets are resolved', () => {
  const { config } = KINDS.sources['crm'] ?? { config: z.never() };
  const connection = configFor(acme(), 'acme');
  expect(sourceConfig({ config }, connection, { ACME_SECRET: 'hush' })).toEqual({
    url: 'https://crm.example.com',
    version: '66.0',
    auth: { grant: 'client', id: 'me', secret: 'hush' },
  });
});

test.each([
  ['its length', z.string().max(3)],
  [
    "its schema's own words",
    z.string().refine(() => false, { error: ({ input }) => `${String(input)} is wrong` }),
  ],
])('I5: a secret that does not fit by %s is not in the message', (_, id) => {
  const config = z.strictObject({ auth: z.strictObject({ id }) });
  const connection = { ...configFor(acme(), 'acme'), source: { auth: { id: env('ACME_SECRET') } } };
  const error = failure(() => sourceConfig({ config }, connection, { ACME_SECRET: 'canary-value' }));
  expect(error).toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'connections.acme.auth.id: the value of this secret does not fit.',
  });
  expect(JSON.stringify(error.details)).not.toContain('canary-value');
});

test('I5: a secret that was written down does not leave with the connection', () => {
  const config = acme();
  const connection = config.connections['acme'];
  if (connection) connection.source['auth'] = { grant: 'client', id: 'me', secret: 'canary-value' };
  expect(JSON.stringify(configFor(config, 'acme'))).not.toContain('canary-value');
});

test('a connection that is not there suggests the nearest', () => {
  expect(failure(() => configFor(acme(), 'acne'))).toMatchObject({
    code: 'INPUT_INVALID',
    remedy: 'Did you mean acme?',
  });
});
