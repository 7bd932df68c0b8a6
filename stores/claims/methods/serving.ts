import { setImmediate as turn } from 'node:timers/promises';
import { readReferring, readServed } from '../engine/serving.ts';
import type { ServedProfile, Serving } from '../serving.ts';
import { requireLimit, type Store } from '../store.ts';

/** Profiles that one transaction opens, at some 50 µs each. */
const PART = 50;

export function servingMethods({ backend, context }: Store): Serving {
  const { vault } = context;
  return {
    served: async (ids, supposed = []) => {
      const found: ServedProfile[] = [];
      for (let first = 0; first < ids.length; first += PART) {
        const pids = ids.slice(first, first + PART).flatMap((id) => vault.privateId(id) ?? []);
        if (first > 0) await turn();
        found.push(...(await backend.look(() => readServed(context, pids, supposed))));
      }
      return found;
    },
    referring: async (entity, to, limit) => {
      if (to.length === 0) return [];
      const pids = await backend.look(() => readReferring(context, entity, to, requireLimit(limit)));
      return pids.map((pid) => vault.publicId(pid));
    },
  };
}
