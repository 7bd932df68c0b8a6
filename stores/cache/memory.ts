import { readOf, FLOOR_TTL_MS, isNewer, TOMBSTONE_TTL_MS, type Cache, type CacheEntry } from './cache.ts';

export interface MemoryCacheOptions {
  profilesMax: number;
  /** Monotonic, ms; for tests. */
  now?: () => number;
}

interface Held {
  entry: CacheEntry;
  until: number;
}

/** Floors are small; beyond so many the oldest go, which a writer of the last seconds can hardly meet. */
const FLOORS_MAX = 300_000;

/** In this process: the least recently read go first. */
export function openMemoryCache({ profilesMax, now = () => performance.now() }: MemoryCacheOptions): Cache {
  const held = new Map<string, Held>();
  const floors = new Map<string, { version: number; until: number }>();

  const find = (id: string): Held | undefined => {
    const found = held.get(id);
    if (found === undefined || found.until > now()) return found;
    held.delete(id);
    return undefined;
  };
  const floorOf = (id: string): number | undefined => {
    const floor = floors.get(id);
    if (floor === undefined || floor.until > now()) return floor?.version;
    floors.delete(id);
    return undefined;
  };
  const isWanted = (entry: CacheEntry): boolean => {
    const next = { version: entry.version, readMs: readOf(entry) };
    const floor = floorOf(entry.id);
    if (floor !== undefined && !isNewer(next, { version: floor, readMs: 0, isFloor: true })) return false;
    const there = find(entry.id)?.entry;
    if (there === undefined) return true;
    return isNewer(next, { version: there.version, readMs: readOf(there), isFloor: false });
  };

  return {
    get: async (ids) =>
      ids.map((id) => {
        const found = find(id);
        if (found === undefined) return null;
        // The order of the map is that of the last reads.
        held.delete(id);
        held.set(id, found);
        return found.entry;
      }),
    put: async (puts) => {
      let written = 0;
      for (const { entry, ttlMs } of puts) {
        if (!isWanted(entry)) continue;
        held.delete(entry.id);
        const lasts = entry.kind === 'profile' ? ttlMs : TOMBSTONE_TTL_MS;
        held.set(entry.id, { entry, until: now() + lasts });
        written += 1;
      }
      trim(held, profilesMax);
      return written;
    },
    drop: async (rows) => {
      const had: string[] = [];
      for (const { id, version } of rows) {
        const there = find(id)?.entry;
        if (there !== undefined && there.version >= version) continue;
        if (there?.kind === 'profile') had.push(id);
        held.delete(id);
        const floor = Math.max(version, floorOf(id) ?? 0);
        floors.delete(id);
        floors.set(id, { version: floor, until: now() + FLOOR_TTL_MS });
      }
      expire(floors, now());
      trim(floors, FLOORS_MAX);
      return had;
    },
    isUp: () => true,
    close: async () => {
      held.clear();
      floors.clear();
    },
  };
}

/** All floors last equally long, so those that are over come first. */
function expire(floors: Map<string, { until: number }>, nowMs: number): void {
  for (const [id, { until }] of floors) {
    if (until > nowMs) return;
    floors.delete(id);
  }
}

function trim(entries: Map<string, unknown>, most: number): void {
  for (const id of entries.keys()) {
    if (entries.size <= most) return;
    entries.delete(id);
  }
}
