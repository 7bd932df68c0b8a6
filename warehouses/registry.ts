import { bigquery } from './bigquery/index.ts';
import { duckdb } from './duckdb/index.ts';
import { postgres } from './postgres/index.ts';
import { redshift } from './redshift/index.ts';
import { snowflake } from './snowflake/index.ts';
import { qualified } from './sql.ts';
import type { WarehouseDefinition } from './warehouse.ts';

/** One line per system; its config type stays exact, so nobody casts. */
export const warehouses = {
  bigquery,
  duckdb,
  postgres,
  redshift,
  snowflake,
} as const;

export type WarehouseKind = keyof typeof warehouses;

/** The table of a connection's object, as a statement that any kind reads names it. */
export function rawTable(
  { kind, options }: { kind: string; options: Readonly<Record<string, unknown>> },
  connection: string,
  table: string,
): string {
  return warehouseDefinition(kind)?.rawTable?.(options, connection, table) ?? qualified(connection, table);
}

/** The definition of a kind that a configuration names, undefined when there is none. */
export function warehouseDefinition(kind: string): WarehouseDefinition | undefined {
  return Object.entries(warehouses).find(([name]) => name === kind)?.[1];
}
