/**
 * What is kept under a public profile id. `text` is opaque here: servers/profiles writes and reads it. `readMs`: when the claims
 * were asked for it; more than the version hangs on that, such as when a source last confirmed it.
 */
export type CacheEntry =
  | { kind: 'profile'; id: string; version: number; readMs: number; text: string }
  /** Merged: read `target` instead. */
  | { kind: 'alias'; id: string; version: number; target: string }
  | { kind: 'erased'; id: string; version: number };

export interface CachePut {
  entry: CacheEntry;
  /** After so long it is gone; of tombstones the cache itself decides. */
  ttlMs: number;
}

/** Alias and erased outlive whatever a slow writer may still hold in its hands. */
export const TOMBSTONE_TTL_MS = 24 * 3_600_000;
/** How long an outdated version stays refused after it was dropped; no writer may take longer from its read to its put. */
export const FLOOR_TTL_MS = 30_000;
export const WRITER_LAG_MS_MAX = 5_000;

/**
 * Copies of profiles for reading; the claims stay the truth. Only newer versions are written, in whatever order they come, so
 * several processes may fill one cache. A cache that fails is an empty one to whoever reads.
 */
export interface Cache {
  /** In their order, null for a miss; one round trip. Never rejects. */
  get(ids: readonly string[]): Promise<(CacheEntry | null)[]>;
  /**
   * Writes what is newer than what is there: a higher version, or the same that was read later. Returns how many were
   * written, 0 when the cache is away. Never rejects.
   */
  put(puts: readonly CachePut[]): Promise<number>;
  /**
   * From now on nothing below these versions is served or taken, `FLOOR_TTL_MS` long. Returns the ids of which a profile was
   * held; null when the cache is away: say it again then.
   */
  drop(rows: readonly { id: string; version: number }[]): Promise<string[] | null>;
  /** Whether the last call got an answer; for the operator. */
  isUp(): boolean;
  close(): Promise<void>;
}

/** Whether `next` takes the place of what is there; `floor`: a dropped version, which an entry of its own version replaces. */
export function isNewer(
  next: { version: number; readMs: number },
  there: { version: number; readMs: number; isFloor: boolean },
): boolean {
  if (next.version !== there.version) return next.version > there.version;
  return there.isFloor || next.readMs > there.readMs;
}

export const readOf = (entry: CacheEntry): number => (entry.kind === 'profile' ? entry.readMs : 0);
