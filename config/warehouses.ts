import { nearest } from './nearest.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { Mistake } from './mistakes.ts';
import type { Config, WarehousePart } from './schema.ts';

type Written = Record<string, { kind: string }>;

export interface PlacedWarehouses {
  main: WarehousePart;
  copies: (WarehousePart & { name: string })[];
  mistakes: Mistake[];
}

const NOBODY: WarehousePart = { kind: '', options: {} };

/** `read` checks one part and makes its paths absolute. */
export function placedWarehouses(
  { warehouse, warehouses }: { warehouse?: { kind: string } | undefined; warehouses?: Written | undefined },
  read: (at: string[], kind: string) => { part: WarehousePart; mistakes: Mistake[] },
): PlacedWarehouses {
  if (warehouse !== undefined && warehouses !== undefined) {
    const message =
      'and `warehouses` exclude each other. Write one warehouse, or name them all in `warehouses`.';
    return { main: NOBODY, copies: [], mistakes: [{ path: ['warehouse'], message }] };
  }
  if (warehouse !== undefined) {
    const { part, mistakes } = read(['warehouse'], warehouse.kind);
    return { main: part, copies: [], mistakes };
  }
  if (warehouses === undefined) {
    const message =
      "is missing. Write where rows land, such as { kind: 'duckdb', path: 'warehouse.duckdb' }.";
    return { main: NOBODY, copies: [], mistakes: [{ path: ['warehouse'], message }] };
  }
  const found = Object.entries(warehouses).map(([name, { kind }]) => {
    const { part, mistakes } = read(['warehouses', name], kind);
    return { part: { ...part, name }, mistakes };
  });
  const mistakes = found.flatMap((one) => one.mistakes);
  const [main, ...copies] = found.map(({ part }) => part);
  if (main === undefined) {
    mistakes.push({ path: ['warehouses'], message: 'is empty. Name at least one warehouse.' });
    return { main: NOBODY, copies: [], mistakes };
  }
  mistakes.push(...doubles([main, ...copies]));
  return { main, copies, mistakes };
}

/** I2: two names of one place would land every window twice in it, each unaware of the other. */
function doubles(parts: (WarehousePart & { name: string })[]): Mistake[] {
  const seen = new Map<string, string>();
  return parts.flatMap(({ name, kind, options }): Mistake[] => {
    const place = JSON.stringify([kind, Object.entries(options).toSorted(([a], [b]) => (a < b ? -1 : 1))]);
    const other = seen.get(place);
    seen.set(place, name);
    if (other === undefined) return [];
    return [{ path: ['warehouses', name], message: `is the same place as ${other}.` }];
  });
}

/** The name under which the ledger keeps what has landed: of a single warehouse its kind, else its key. */
export function sinkName({ kind, name }: WarehousePart): string {
  return name ?? kind;
}

/** All warehouses, the main one first. */
export function allWarehouses({
  warehouse,
  copies = [],
}: Pick<Config, 'warehouse' | 'copies'>): WarehousePart[] {
  return [warehouse, ...copies];
}

/** INPUT_INVALID with the nearest name when there is no such warehouse. */
export function warehouseNamed(config: Pick<Config, 'warehouse' | 'copies'>, name: string): WarehousePart {
  const all = allWarehouses(config);
  const found = all.find((one) => sinkName(one) === name);
  if (found !== undefined) return found;
  const known = all.map(sinkName);
  const guess = nearest(name, known);
  throw new HeadwaterError(
    'INPUT_INVALID',
    `there is no warehouse ${JSON.stringify(name)} in the configuration`,
    {
      remedy: guess ? `Did you mean ${guess}?` : `The configuration has: ${known.join(', ')}.`,
    },
  );
}
