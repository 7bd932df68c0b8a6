import { timingSafeEqual } from 'node:crypto';
import { keyHash, resolvedHash } from '../config/keys.ts';
import type { KeyConfig, ServeConfig } from '../config/serve.ts';
import { takeTokens, type Bucket } from '../rules/tokens.ts';
import { Problem } from './problem.ts';

export type Scope = KeyConfig['scopes'][number];

/** Who asks: the key's name, as it appears in logs and histories, and what it may do. */
export interface ApiKey extends KeyConfig {
  name: string;
}

/** admin has all. */
export function hasScope({ scopes }: Pick<ApiKey, 'scopes'>, scope: Scope): boolean {
  return scopes.includes(scope) || scopes.includes('admin');
}

interface Held {
  key: ApiKey;
  hash: Buffer;
  bucket: Bucket | null;
}

/** The API keys of a configuration, and how fast each may ask. */
export class Keys {
  readonly #held: Map<string, Held>;
  readonly #now: () => number;

  constructor(keys: ServeConfig['keys'], now: () => number) {
    this.#held = new Map(
      Object.entries(keys).map(([name, key]) => {
        const hash = resolvedHash(name, key.hash);
        return [hash, { key: { ...key, name }, hash: Buffer.from(hash), bucket: null }];
      }),
    );
    this.#now = now;
  }

  /** The key of an `authorization: Bearer hw_…`. Problem 401, 403 (another scope; admin has all) or 429. */
  admit(authorization: string | undefined, scope: Scope): ApiKey {
    const held = this.#find(authorization);
    if (held === undefined) {
      throw new Problem(401, 'Send an API key as `Authorization: Bearer hw_…`.');
    }
    const { key } = held;
    const taken = takeTokens(held.bucket, 1, 'webhook', key, this.#now());
    held.bucket = taken.bucket;
    if (!taken.granted) {
      throw new Problem(429, 'This key asks more often than it may.', { retryAfterMs: taken.waitMs });
    }
    if (!hasScope(key, scope)) {
      throw new Problem(403, `This key lacks the scope ${scope}.`);
    }
    return key;
  }

  /** Only the hash is compared: what time that takes tells nothing of a key. */
  #find(authorization: string | undefined): Held | undefined {
    const [, written] = /^bearer +(\S{1,100})$/i.exec(authorization ?? '') ?? [];
    const hash = written === undefined ? undefined : keyHash(written);
    const held = hash === undefined ? undefined : this.#held.get(hash);
    if (hash === undefined || held === undefined) return undefined;
    return timingSafeEqual(Buffer.from(hash), held.hash) ? held : undefined;
  }
}
