import type { Config, ConnectionConfig } from '../config/schema.ts';
import { allWarehouses, sinkName } from '../config/warehouses.ts';
import { countOf, formatInstant } from '../rules/report.ts';
import type { Instant } from '../schemas/instant.ts';
import type { Ledger } from '../stores/ledger/ledger.ts';
import { knownObjects } from './objects.ts';
import { checkpointOf } from './troubles.ts';

/** How far one object has landed in one further warehouse. */
export interface CopyState {
  connection: string;
  object: string;
  warehouse: string;
  /** Ends of the gap-free coverage: there, and of what is read and proven. */
  landed: Instant | null;
  staged: Instant | null;
}

/** The names of the further warehouses; none where there is one. */
export function copyNames(config: Config): string[] {
  return allWarehouses(config).slice(1).map(sinkName);
}

export async function readCopies(
  config: Config,
  connections: readonly ConnectionConfig[],
  ledger: Ledger,
): Promise<CopyState[]> {
  const found: CopyState[] = [];
  const names = copyNames(config);
  if (names.length === 0) return found;
  for (const connection of connections) {
    const { name } = connection;
    for (const object of await knownObjects(connection, ledger)) {
      const staged = checkpointOf(await ledger.coverage(name, object));
      for (const warehouse of names) {
        const landed = checkpointOf(await ledger.sinkCoverage(warehouse, name, object));
        found.push({ connection: name, object, warehouse, landed, staged });
      }
    }
  }
  return found;
}

/** One line per further warehouse and connection: level with what is proven, or behind, with the object that is furthest behind. */
export function copyLines(states: readonly CopyState[]): string[] {
  const groups = Map.groupBy(states, ({ warehouse, connection }) => `${warehouse}\n${connection}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const { warehouse, connection } = first;
    const behind = group.filter(isBehind);
    if (behind.length === 0) return [`${connection}: ${warehouse} has everything that is proven`];
    const [last] = behind.toSorted((a, b) => ((a.landed ?? '') < (b.landed ?? '') ? -1 : 1));
    const upTo =
      last?.landed === null || last === undefined ? 'nothing yet' : `up to ${formatInstant(last.landed)}`;
    return [
      `${connection}: ${warehouse} is behind: ${countOf(behind.length, 'object')}, ${last?.object ?? ''} ${upTo} → ` +
        `What is staged lands by itself, the rest by \`npx headwater migrate ${connection} --to ${warehouse}\`.`,
    ];
  });
}

export function isBehind({ landed, staged }: CopyState): boolean {
  return staged !== null && (landed === null || landed < staged);
}
