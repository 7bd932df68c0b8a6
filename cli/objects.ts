import type { ConnectionConfig } from '../config/schema.ts';
import type { Ledger } from '../stores/ledger/ledger.ts';

/** Objects that the ledger is asked for when the configuration says 'all'. */
const WINDOWS_READ_MAX = 5_000;

/** What a connection syncs, without asking the source: as configured, or what the ledger has seen. */
export async function knownObjects(connection: ConnectionConfig, ledger: Ledger): Promise<string[]> {
  const { name, objects, exclude } = connection;
  const named =
    objects === 'all'
      ? (await ledger.windows({ connection: name, limit: WINDOWS_READ_MAX })).map(({ object }) => object)
      : objects;
  return [...new Set(named)].filter((object) => !exclude.includes(object)).toSorted();
}

/** `salesforce` or `salesforce/Contact`, as pause and logs take it. */
export function splitTarget(target: string): { connection: string; object: string | undefined } {
  const at = target.indexOf('/');
  return at < 0
    ? { connection: target, object: undefined }
    : { connection: target.slice(0, at), object: target.slice(at + 1) };
}
