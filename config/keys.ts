import { createHash, randomBytes } from 'node:crypto';

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
