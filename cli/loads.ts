import { formatDuration } from '../config/quantities.ts';
import type { Config, ConnectionConfig } from '../config/schema.ts';
import { allWarehouses, sinkName } from '../config/warehouses.ts';
import { formatCount } from '../rules/report.ts';
import { warehouseDefinition } from '../warehouses/registry.ts';

const DAY_MS = 86_400_000;

/** What this connection loads in a day into each warehouse that counts loads or pays for them; an object that changes all the time. */
export function loadLines(config: Config, { schedule, webhooks }: ConnectionConfig): string[] {
  return allWarehouses(config).flatMap((part) => {
    const loads = warehouseDefinition(part.kind)?.loads;
    if (loads === undefined) return [];
    const { everyMsMin, perObjectAndDayMax, because } = loads;
    const perDay = (ms: number): number => Math.ceil(DAY_MS / ms);
    const runs = perDay(schedule.everyMs);
    const words = [`${formatCount(runs)} by runs`];
    let sum = runs;
    if (webhooks !== undefined) {
      const everyMs = Math.max(webhooks.landEvery, everyMsMin);
      sum += perDay(everyMs);
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
