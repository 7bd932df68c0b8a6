// Opens each source once per worker and class of call; a step asks for it by the connection's name.
import { HeadwaterError } from '../rules/errors.ts';
import type { CallClass } from '../schemas/quota.ts';
import type { Source } from '../sources/source.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';

export function connectionSettings(dependencies: Dependencies, connection: string): ConnectionSettings {
  const settings = dependencies.connections.get(connection);
  if (settings !== undefined) return settings;
  const known = [...dependencies.connections.keys()].join(', ');
  throw new HeadwaterError(
    'INPUT_INVALID',
    `connection "${connection}" is not configured; known: ${known || 'none'}`,
  );
}

export interface OpenSources {
  source(connection: string, callClass: CallClass): Promise<Source>;
  close(): Promise<void>;
}

/** Bounded by the number of configured connections; a failed connect is tried anew by the next caller. */
export function openSources(dependencies: Dependencies): OpenSources {
  const open = new Map<string, Promise<Source>>();
  return {
    source(connection, callClass) {
      const settings = connectionSettings(dependencies, connection);
      const key = `${connection}/${callClass}`;
      const present = open.get(key);
      if (present !== undefined) return present;
      const fresh = settings.open(callClass);
      open.set(key, fresh);
      fresh.catch(() => open.delete(key));
      return fresh;
    },
    async close() {
      const sources = await Promise.allSettled(open.values());
      open.clear();
      for (const source of sources) if (source.status === 'fulfilled') await source.value.close();
    },
  };
}
