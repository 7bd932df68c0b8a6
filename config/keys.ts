import { createHash, randomBytes } from 'node:crypto';
import { HeadwaterError } from '../rules/errors.ts';
import { resolveSecrets, type SecretReference } from './secrets.ts';

export const KEY_HASH = /^sha256:[0-9a-f]{64}$/;

const KEY_BYTES = 32;
/** As `newKey` makes them: 256 random bits, so that a plain hash at rest cannot be searched. */
const KEY = /^hw_[A-Za-z0-9_-]{43}$/;

/** An API key. Whoever uses it keeps it; the configuration holds its hash only (I5). */
export function newKey(): string {
  return `hw_${randomBytes(KEY_BYTES).toString('base64url')}`;
}

/** As `serve.keys.<name>.hash` has it; undefined for what is no key. */
export function keyHash(key: string): string | undefined {
  return KEY.test(key) ? `sha256:${createHash('sha256').update(key).digest('hex')}` : undefined;
}

/** The hash itself, for whoever checks keys. SECRET_MISSING, CONFIG_INVALID when something else lies there. */
export function resolvedHash(name: string, hash: string | SecretReference): string {
  if (typeof hash === 'string') return hash;
  const at = `serve.keys.${name}.hash`;
  const found = String(resolveSecrets(hash, at));
  if (KEY_HASH.test(found)) return found;
  throw new HeadwaterError('CONFIG_INVALID', `${at}: the value of this secret is no hash of a key`, {
    remedy: 'Make one with `npx headwater keys new`.',
  });
}
