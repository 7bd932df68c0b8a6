import { createClient, defineScript } from 'redis';
import { readOf, FLOOR_TTL_MS, TOMBSTONE_TTL_MS, type Cache, type CacheEntry } from './cache.ts';
import { DROP, PUT } from './redis-scripts.ts';

export interface RedisCacheOptions {
  /** May hold a password: it is named nowhere (I5). */
  url: string;
  prefix: string;
}

/** What a reader waits for at most before it asks the ledger. */
const CALL_MS_MAX = 50;
/** The feeder writes many at once and nobody waits for it. */
const WRITE_MS_MAX = 1_000;
/** After a failure nothing is asked for so long: a Redis that hangs costs one wait per second, not one per request. */
const OPEN_MS = 1_000;
const RECONNECT_MS_MAX = 1_000;
const CONNECT_MS_MAX = 2_000;
/** Commands that may wait in the client; more are refused, which is a miss. */
const QUEUE_MAX = 10_000;
/** Ids of one MGET, entries of one script. */
const BATCH_MAX = 500;

const scripts = {
  putEntries: script(PUT),
  dropEntries: script(DROP),
};

function script(text: string) {
  return defineScript({
    SCRIPT: text,
    IS_READ_ONLY: false,
    parseCommand(parser, keys: string[], values: string[]) {
      parser.push(String(keys.length));
      for (const key of keys) parser.pushKey(key);
      parser.push(...values);
    },
    transformReply: (reply: unknown): unknown => reply,
  });
}

type Client = ReturnType<typeof connect>;

function connect(url: string) {
  return createClient({
    url,
    scripts,
    // A miss now is better than an answer later.
    disableOfflineQueue: true,
    commandsQueueMaxLength: QUEUE_MAX,
    socket: {
      connectTimeout: CONNECT_MS_MAX,
      reconnectStrategy: (tries) => Math.min(20 * 2 ** Math.min(tries, 10), RECONNECT_MS_MAX),
    },
  });
}

interface Waiting {
  ids: readonly string[];
  resolve: (entries: (CacheEntry | null)[]) => void;
}

/** Resolves at once, whether Redis is there or not: the client goes on trying. */
export function openRedisCache({ url, prefix }: RedisCacheOptions): Cache {
  const client = connect(url);
  // The reasons may name the address; what counts is that it is away, which isUp tells.
  client.on('error', () => undefined);
  client.connect().catch(() => undefined);
  return new RedisCache(client, prefix).asCache();
}

class RedisCache {
  readonly #client: Client;
  readonly #prefix: string;
  #closedUntil = -Infinity;
  #up = false;
  #waiting: Waiting[] = [];

  constructor(client: Client, prefix: string) {
    this.#client = client;
    // In a cluster the braces keep all entries in one slot, so that one call may name many.
    this.#prefix = `{${prefix}}:profile:`;
  }

  asCache(): Cache {
    return {
      get: async (ids) => await this.#get(ids),
      put: async (puts) => {
        let written = 0;
        for (const some of batches(puts)) {
          const keys = some.map(({ entry }) => this.#prefix + entry.id);
          const values = some.flatMap(({ entry, ttlMs }) => [
            textOf(entry),
            String(Math.ceil(entry.kind === 'profile' ? ttlMs : TOMBSTONE_TTL_MS)),
          ]);
          const answer = await this.#ask(
            WRITE_MS_MAX,
            async (client) => await client.putEntries(keys, values),
          );
          if (typeof answer !== 'number') return written;
          written += answer;
        }
        return written;
      },
      drop: async (rows) => {
        const had: string[] = [];
        for (const some of batches(rows)) {
          const keys = some.map(({ id }) => this.#prefix + id);
          const values = [String(FLOOR_TTL_MS), ...some.map(({ version }) => String(version))];
          const answer = await this.#ask(
            WRITE_MS_MAX,
            async (client) => await client.dropEntries(keys, values),
          );
          if (!Array.isArray(answer)) return null;
          for (const at of answer) {
            const row = typeof at === 'number' ? some[at - 1] : undefined;
            if (row !== undefined) had.push(row.id);
          }
        }
        return had;
      },
      isUp: () => this.#up && this.#client.isReady,
      close: async () => {
        this.#closedUntil = Infinity;
        this.#client.destroy();
      },
    };
  }

  /** Callers of one turn of the event loop share a round trip. */
  async #get(ids: readonly string[]): Promise<(CacheEntry | null)[]> {
    if (ids.length === 0 || performance.now() < this.#closedUntil) return ids.map(() => null);
    return await new Promise((resolve) => {
      this.#waiting.push({ ids, resolve });
      if (this.#waiting.length === 1) setImmediate(() => void this.#answerAll());
    });
  }

  async #answerAll(): Promise<void> {
    const callers = this.#waiting;
    this.#waiting = [];
    const ids = callers.flatMap((caller) => caller.ids);
    const found: (CacheEntry | null)[] = [];
    for (const some of batches(ids)) found.push(...(await this.#many(some)));
    let from = 0;
    for (const caller of callers) {
      caller.resolve(found.slice(from, from + caller.ids.length));
      from += caller.ids.length;
    }
  }

  async #many(ids: readonly string[]): Promise<(CacheEntry | null)[]> {
    const keys = ids.map((id) => this.#prefix + id);
    const values = await this.#ask(CALL_MS_MAX, async (client) => await client.mGet(keys));
    return ids.map((id, index) => {
      const value = values?.[index];
      return typeof value === 'string' ? entryOf(id, value) : null;
    });
  }

  /** Undefined after any failure. */
  async #ask<T>(msMax: number, call: (client: Client) => Promise<T>): Promise<T | undefined> {
    if (performance.now() < this.#closedUntil) return undefined;
    // While the client connects there is nothing to wait for, and nothing to be spared either.
    if (!this.#client.isReady) {
      this.#up = false;
      return undefined;
    }
    return await new Promise((resolve) => {
      let ended = false;
      const end = (answer: T | undefined, isUp: boolean) => {
        if (ended) return;
        ended = true;
        clearTimeout(late);
        if (isUp) this.#up = true;
        else this.#fail();
        resolve(answer);
      };
      // This process may have been the slow one: what has arrived meanwhile is read before the next turn.
      const late = setTimeout(() => setImmediate(end, undefined, false), msMax);
      call(this.#client).then(
        (answer) => end(answer, true),
        () => end(undefined, false),
      );
    });
  }

  #fail(): void {
    this.#up = false;
    this.#closedUntil = Math.max(this.#closedUntil, performance.now() + OPEN_MS);
  }
}

function* batches<T>(all: readonly T[]): Generator<T[]> {
  for (let first = 0; first < all.length; first += BATCH_MAX) yield all.slice(first, first + BATCH_MAX);
}

const KIND_LETTERS = { profile: 'p', alias: 'a', erased: 'e' } as const;

function textOf(entry: CacheEntry): string {
  const rest = entry.kind === 'profile' ? entry.text : entry.kind === 'alias' ? entry.target : '';
  return `${entry.version} ${Math.max(0, readOf(entry))} ${KIND_LETTERS[entry.kind]}${rest}`;
}

/** Null for a floor, and for what somebody else wrote. */
function entryOf(id: string, value: string): CacheEntry | null {
  const first = value.indexOf(' ');
  const second = value.indexOf(' ', first + 1);
  const version = Number(value.slice(0, first));
  if (first < 1 || second < 0 || !Number.isSafeInteger(version)) return null;
  const rest = value.slice(second + 2);
  switch (value[second + 1]) {
    case 'p':
      return {
        kind: 'profile',
        id,
        version,
        readMs: Number(value.slice(first + 1, second)),
        text: rest,
      };
    case 'a':
      return { kind: 'alias', id, version, target: rest };
    case 'e':
      return { kind: 'erased', id, version };
    default:
      return null;
  }
}
