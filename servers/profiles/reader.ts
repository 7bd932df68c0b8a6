import type { Entity } from '../../schemas/entities/entity.ts';
import { WRITER_LAG_MS_MAX, type Cache, type CacheEntry, type CachePut } from '../../stores/cache/cache.ts';
import type { Claims, OutboxRow } from '../../stores/claims/claims.ts';
import type { ServedProfile } from '../../stores/claims/serving.ts';
import { parseModel, textOf, type Model } from './model.ts';

export type Found =
  | { kind: 'profile'; model: Model }
  | { kind: 'alias'; target: string }
  | { kind: 'erased' }
  | { kind: 'unknown' };

/** A value may change with the clock alone (`maxAge` of a rule), and consent of another profile: looked at anew after this. */
const PROFILE_TTL_MS = 5 * 60_000;
/** Ids that the claims do not know, so that asking for them again and again costs nothing. */
const UNKNOWN_MAX = 10_000;
const UNKNOWN_MS = 1_000;
/** Profiles that are taken apart already. */
const MODELS_MAX = 5_000;
/** Reads of the claims that run at once; each takes some 50 µs of this thread. */
const LOADS_MAX = 100;

interface Parsed {
  text: string;
  model: Model;
}

export interface ReaderOptions {
  claims: () => Promise<Claims | undefined>;
  cache: Cache;
  entities: ReadonlyMap<string, Entity>;
  /** Flags of the profile's consent that say no. */
  denials: (claims: Claims, profile: ServedProfile) => Promise<string[]>;
  /** False while what happened may not have reached the cache: then it is not asked. */
  isCurrent: () => boolean;
  /** ms since 1970. */
  now: () => number;
}

/** Profiles from the cache, else from the claims: one read for however many ask at the same time. */
export class Reader {
  readonly #options: ReaderOptions;
  readonly #loading = new Map<string, Promise<Found>>();
  readonly #unknown = new Map<string, number>();
  readonly #models = new Map<string, Parsed>();
  #lastReadMs = 0;
  #queue = new Map<string, (found: Promise<Found>) => void>();

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  async read(id: string): Promise<Found> {
    const { cache, isCurrent } = this.#options;
    if (!isCurrent()) return await this.load(id);
    const [entry = null] = await cache.get([id]);
    return this.#opened(id, entry) ?? (await this.load(id));
  }

  /** In their order; one round trip to the cache. */
  async readMany(ids: readonly string[]): Promise<Found[]> {
    const { cache, isCurrent } = this.#options;
    const entries = isCurrent() ? await cache.get(ids) : [];
    const opened = ids.map((id, at) => this.#opened(id, entries[at] ?? null));
    return await Promise.all(ids.map(async (id, at) => opened[at] ?? (await this.load(id))));
  }

  #opened(id: string, entry: CacheEntry | null): Found | null {
    if (entry === null) return null;
    if (entry.kind === 'alias') return { kind: 'alias', target: entry.target };
    if (entry.kind === 'erased') return { kind: 'erased' };
    const known = this.#models.get(id);
    if (known?.text === entry.text) return { kind: 'profile', model: known.model };
    const model = parseModel(entry.text);
    if (model === null) return null;
    this.#models.delete(id);
    this.#models.set(id, { text: entry.text, model });
    if (this.#models.size > MODELS_MAX) {
      for (const oldest of this.#models.keys()) {
        this.#models.delete(oldest);
        break;
      }
    }
    return { kind: 'profile', model };
  }

  /** From the claims, past the cache, and into it. */
  async load(id: string): Promise<Found> {
    const unknownUntil = this.#unknown.get(id);
    if (unknownUntil !== undefined && unknownUntil > performance.now()) return { kind: 'unknown' };
    const running = this.#loading.get(id);
    if (running !== undefined) return await running;
    const loading = new Promise<Found>((resolve) => {
      this.#queue.set(id, resolve);
      if (this.#queue.size === 1) setImmediate(() => this.#loadQueue());
    }).finally(() => this.#loading.delete(id));
    this.#loading.set(id, loading);
    return await loading;
  }

  /** Past what is being read already: for what has just been changed. */
  async reload(id: string): Promise<Found> {
    await this.#loading.get(id)?.catch(() => undefined);
    this.#unknown.delete(id);
    return await this.load(id);
  }

  #loadQueue(): void {
    const asked = [...this.#queue];
    this.#queue = new Map();
    for (let first = 0; first < asked.length; first += LOADS_MAX) {
      const some = asked.slice(first, first + LOADS_MAX);
      const loaded = this.loadMany(some.map(([id]) => id));
      for (const [id, resolve] of some) {
        resolve(loaded.then((found) => found.get(id) ?? { kind: 'unknown' }));
      }
    }
  }

  /** What the claims say of these now; put into the cache too, which nobody waits for unless `isWritten`. */
  async loadMany(ids: readonly string[], isWritten = false): Promise<Map<string, Found>> {
    const { cache, entities, denials } = this.#options;
    const claims = await this.#options.claims();
    const found = new Map<string, Found>();
    if (claims === undefined) return found;
    const started = performance.now();
    // What is read later must count as later, however coarse the clock is.
    const readMs = Math.max(this.#options.now(), this.#lastReadMs + 1);
    this.#lastReadMs = readMs;
    const puts: CachePut[] = [];
    for (const served of await claims.served(ids)) {
      const { profile } = served;
      const denied = profile.mergedInto === null ? await denials(claims, served) : [];
      const entry = entryOf(served, readMs, textOf(served, entities.get(profile.entity), denied));
      puts.push({ entry, ttlMs: PROFILE_TTL_MS });
      const opened = this.#opened(profile.profile, entry);
      if (opened !== null) found.set(profile.profile, opened);
    }
    // Whoever was held up for longer may hold what the cache no longer knows to be outdated.
    if (performance.now() - started < WRITER_LAG_MS_MAX) {
      const written = cache.put(puts);
      if (isWritten) await written;
    }
    for (const id of ids) if (!found.has(id)) this.#noteUnknown(id);
    return found;
  }

  #noteUnknown(id: string): void {
    this.#unknown.delete(id);
    this.#unknown.set(id, performance.now() + UNKNOWN_MS);
    if (this.#unknown.size <= UNKNOWN_MAX) return;
    for (const oldest of this.#unknown.keys()) {
      this.#unknown.delete(oldest);
      break;
    }
  }

  /** Of these nothing changed but what is served with them, such as a consent. False while the cache is away. */
  async reread(ids: readonly string[]): Promise<boolean> {
    const { cache } = this.#options;
    for (let first = 0; first < ids.length; first += LOADS_MAX) {
      const some = ids.slice(first, first + LOADS_MAX);
      const held = await cache.get(some);
      await this.loadMany(
        some.filter((_, at) => held[at]?.kind === 'profile'),
        true,
      );
      if (!cache.isUp()) return false;
    }
    return true;
  }

  /** Rows of the outbox: what was served before them is not served any more. False while the cache is away. */
  async refresh(rows: readonly Pick<OutboxRow, 'profile' | 'version'>[]): Promise<boolean> {
    const newest = new Map<string, number>();
    for (const { profile, version } of rows) {
      newest.set(profile, Math.max(version, newest.get(profile) ?? 0));
      this.#unknown.delete(profile);
    }
    const had = await this.#options.cache.drop([...newest].map(([id, version]) => ({ id, version })));
    if (had === null) return false;
    // What somebody has read lately is likely to be read again.
    for (let first = 0; first < had.length; first += LOADS_MAX) {
      await this.loadMany(had.slice(first, first + LOADS_MAX));
    }
    return true;
  }
}

function entryOf({ profile }: ServedProfile, readMs: number, text: string): CacheEntry {
  const { profile: id, version, mergedInto, records } = profile;
  if (mergedInto !== null) return { kind: 'alias', id, version, target: mergedInto };
  // Without any record there is nothing left of it: erased, or every record went elsewhere.
  if (records.length === 0) return { kind: 'erased', id, version };
  return { kind: 'profile', id, version, readMs, text };
}
