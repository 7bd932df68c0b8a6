import { formatBytes, formatDuration } from '../config/quantities.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import type { Config, ConnectionConfig, WarehousePart } from '../config/schema.ts';
import { allWarehouses, sinkName } from '../config/warehouses.ts';
import { formatCount } from '../rules/report.ts';
import { warehouseDefinition } from '../warehouses/registry.ts';
import { withWarehouse } from './warehouse.ts';

const DAY_MS = 86_400_000;

const perDay = (ms: number): number => Math.ceil(DAY_MS / ms);

/** Of an object that changes all the time: by runs and by pushed changes. */
function loadsPerDay(
  { schedule, webhooks }: Pick<ConnectionConfig, 'schedule' | 'webhooks'>,
  everyMsMin: number,
): number {
  const pushed = webhooks === undefined ? 0 : perDay(Math.max(webhooks.landEvery, everyMsMin));
  return perDay(schedule.everyMs) + pushed;
}

/** What this connection loads in a day into each warehouse that counts loads or pays for them; an object that changes all the time. */
export function loadLines(config: Config, { schedule, webhooks }: ConnectionConfig): string[] {
  return allWarehouses(config).flatMap((part) => {
    const loads = warehouseDefinition(part.kind)?.loads;
    if (loads === undefined) return [];
    const { everyMsMin, perObjectAndDayMax, because } = loads;
    const words = [`${formatCount(perDay(schedule.everyMs))} by runs`];
    const sum = loadsPerDay({ schedule, webhooks }, everyMsMin);
    if (webhooks !== undefined) {
      const everyMs = Math.max(webhooks.landEvery, everyMsMin);
      const why =
        everyMs > webhooks.landEvery
          ? `, no more often than every ${formatDuration(everyMs)}: ${because}`
          : '';
      words.push(`${formatCount(perDay(everyMs))} of pushed changes${why}`);
    }
    const most =
      perObjectAndDayMax === undefined ? '' : ` of ${formatCount(perObjectAndDayMax)} that it takes`;
    const line = `${sinkName(part)}: at most ${formatCount(sum)} loads per object and day${most} (${words.join('; ')})`;
    return [perObjectAndDayMax !== undefined && sum > perObjectAndDayMax ? `✗ ${line}` : line];
  });
}

/** Until what loads read is known, or not waited for any longer. */
const READS_MS_MAX = 20_000;
/** Objects that have a line of their own; the sum has all of them. */
const READS_SHOWN_MAX = 10;

/**
 * What the loads of these objects read, in each warehouse that is paid by bytes; in one that does not answer, that this is not known.
 * The objects that read most come first.
 */
export async function readLines(
  loaded: Pick<LoadedConfig, 'config' | 'home'>,
  connection: ConnectionConfig,
  objects: readonly string[],
): Promise<string[]> {
  const lines: string[] = [];
  for (const part of allWarehouses(loaded.config)) {
    const loads = warehouseDefinition(part.kind)?.loads;
    if (loads?.paidByBytes !== true) continue;
    const each = loadsPerDay(connection, loads.everyMsMin);
    const about = (bytes: number): string =>
      `${formatBytes(bytes)} a load, at most ${formatBytes(bytes * each)} a day`;
    try {
      const bytes = await soon(bytesOf(loaded, part, connection.name, objects));
      const read = objects
        .map((object, at) => ({ object, bytes: bytes[at] ?? 0 }))
        .filter((one) => one.bytes > 0)
        .toSorted((a, b) => b.bytes - a.bytes);
      const told = read.map((one) => `${sinkName(part)}: ${one.object} reads ${about(one.bytes)}`);
      const sum = read.reduce((all, one) => all + one.bytes, 0);
      lines.push(...told.slice(0, READS_SHOWN_MAX));
      if (told.length > 1) lines.push(`${sinkName(part)}: ${told.length} objects read ${about(sum)}`);
      if (told.length === 0) lines.push(`${sinkName(part)}: nothing was loaded yet that a load would read`);
    } catch (error) {
      const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
      lines.push(`${sinkName(part)}: what loads read is not known: ${why}`);
    }
  }
  return lines;
}

const bytesOf = (
  loaded: Pick<LoadedConfig, 'config' | 'home'>,
  part: WarehousePart,
  connection: string,
  objects: readonly string[],
): Promise<(number | null)[]> =>
  withWarehouse(
    loaded,
    (warehouse) => warehouse.bytesRead?.(connection, objects) ?? Promise.resolve([]),
    part,
  );

async function soon<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${READS_MS_MAX / 1_000} s`)), READS_MS_MAX);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // Whoever is late fails unheard.
    work.catch(() => undefined);
  }
}
