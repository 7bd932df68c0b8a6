import { bigquery } from './bigquery/index.ts';
import { duckdb } from './duckdb/index.ts';
import { postgres } from './postgres/index.ts';
import { redshift } from './redshift/index.ts';
import { snowflake } from './snowflake/index.ts';
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

/** The definition of a kind that a configuration names, undefined when there is none. */
export function warehouseDefinition(kind: string): WarehouseDefinition | undefined {
  return Object.entries(warehouses).find(([name]) => name === kind)?.[1];
}
