import type { ConnectionConfig } from '../config/schema.ts';
import { HeadwaterError } from '../rules/errors.ts';
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

/** `salesforce` or `salesforce/Contact`, as pause and logs take it. INPUT_INVALID for a name that is missing beside the slash. */
export function splitTarget(target: string): { connection: string; object: string | undefined } {
  const at = target.indexOf('/');
  if (at < 0) return { connection: target, object: undefined };
  const [connection, object] = [target.slice(0, at), target.slice(at + 1)];
  if (connection !== '' && object !== '') return { connection, object };
  throw new HeadwaterError('INPUT_INVALID', `${JSON.stringify(target)} is not <connection>/<object>`, {
    remedy: 'Write for example crm/Contact.',
  });
}
