import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { keyHash, newKey, resolvedHash } from '../../../config/keys.ts';

test('a key and its hash belong together; what is no key has none', () => {
  const key = newKey();
  expect(keyHash(key)).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect(keyHash(key)).not.toContain(key);
  expect(newKey()).not.toBe(key);
  for (const other of ['', 'hw_', `${key}x`, key.slice(1)]) expect(keyHash(other)).toBeUndefined();
});

test('a hash may lie in a file; anything else there is told without repeating it (I5)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keys-'));
  const hash = keyHash(newKey()) ?? '';
  writeFileSync(join(folder, 'hash'), `${hash}\n`);
  writeFileSync(join(folder, 'other'), 'hunter2');
  const at = (name: string) => ({ $secret: { file: join(folder, name) } });
  expect(resolvedHash('bot', hash)).toBe(hash);
  expect(resolvedHash('bot', at('hash'))).toBe(hash);
  expect(() => resolvedHash('bot', at('other'))).toThrow(
    'serve.keys.bot.hash: the value of this secret is no hash of a key',
  );
  expect(() => resolvedHash('bot', at('other'))).not.toThrow('hunter2');
  expect(() => resolvedHash('bot', at('missing'))).toThrow('serve.keys.bot.hash');
  rmSync(folder, { recursive: true });
});
