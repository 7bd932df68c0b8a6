import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { warehouseConfig } from '../config/connection-config.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import type { WarehousePart } from '../config/schema.ts';
import { sinkName } from '../config/warehouses.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { CheckResult } from '../sources/source.ts';
import type { QueryAnswer, Warehouse } from '../warehouses/warehouse.ts';
import { askWorker } from './control-socket.ts';

const answerSchema = z.object({
  columns: z.array(z.object({ name: z.string(), type: z.string() })),
  rows: z.array(z.array(z.unknown())),
  truncated: z.boolean(),
});
const checkedSchema = z.array(
  z.object({ check: z.string(), ok: z.boolean(), detail: z.string(), remedy: z.string().optional() }),
);
const exportedSchema = z.object({ rows: z.number() });

type Place = Pick<LoadedConfig, 'config' | 'home'>;

/** One read-only statement, by the worker that owns the warehouse, or directly when none runs. */
export async function query(place: Place, sql: string, rowsMax: number): Promise<QueryAnswer> {
  const answer = await askWorker(place.home, '/sql', { sql, rowsMax });
  if (answer !== undefined) return answerSchema.parse(answer);
  return withWarehouse(place, (warehouse) => warehouse.query(sql, rowsMax));
}

/** Writes the answer of a read-only statement to a file; gives its rows. `path` is absolute: the worker has another folder. */
export async function exportTo(place: Place, sql: string, path: string): Promise<number> {
  const answer = await askWorker(place.home, '/export', { sql, path });
  if (answer !== undefined) return exportedSchema.parse(answer).rows;
  return withWarehouse(place, (warehouse) => warehouse.export(sql, path));
}

/**
 * Proves the rights of one of the warehouses, as a worker would use them. Inside the worker's process only that one can look; any other
 * is asked from here, whether a worker runs or not. One that is not made yet is no fault.
 */
export async function checkWarehouse(place: Place, part: WarehousePart): Promise<CheckResult[]> {
  const { path } = part.options;
  if (typeof path === 'string' && !existsSync(path))
    return [{ check: 'connect', ok: true, detail: `${path} is made by the first start` }];
  const { warehouseDefinition } = await import('../warehouses/registry.ts');
  if (warehouseDefinition(part.kind)?.embedded === true) {
    const asked = part === place.config.warehouse ? {} : { warehouse: sinkName(part) };
    const answer = await askWorker(place.home, '/check', asked);
    if (answer !== undefined) {
      const by: CheckResult = {
        check: 'connect',
        ok: true,
        detail: 'the running worker has it open and looked',
      };
      return [
        by,
        ...checkedSchema
          .parse(answer)
          .map(({ remedy, ...result }) => ({ ...result, ...(remedy === undefined ? {} : { remedy }) })),
      ];
    }
  }
  return withWarehouse(place, (warehouse) => warehouse.check(), part);
}

/** Opens the warehouse itself, which works only while no worker owns it. A command never creates one. */
export async function withWarehouse<T>(
  { config, home }: Place,
  action: (warehouse: Warehouse) => Promise<T>,
  part: WarehousePart = config.warehouse,
): Promise<T> {
  const { warehouseDefinition } = await import('../warehouses/registry.ts');
  const definition = warehouseDefinition(part.kind);
  if (definition === undefined)
    throw new HeadwaterError('CONFIG_INVALID', `${part.kind} is no kind of warehouse`);
  const { path } = part.options;
  if (typeof path === 'string' && !existsSync(path)) {
    throw new HeadwaterError('INPUT_INVALID', `there is no warehouse at ${path}: nothing has run yet`, {
      remedy: 'Start with `npx headwater start`, or set HEADWATER_HOME to the folder of the installation.',
    });
  }
  const tempDirectory = join(home, 'spill');
  mkdirSync(tempDirectory, { recursive: true, mode: 0o700 });
  const warehouse = await definition.connect(warehouseConfig(definition, part), {
    now: Date.now,
    log: () => {},
    tempDirectory,
    memoryMbMax: config.worker.memoryMb,
    threads: config.worker.threads,
  });
  try {
    return await action(warehouse);
  } finally {
    await warehouse.close();
  }
}
