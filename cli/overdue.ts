import { formatCount } from '../rules/report.ts';
import { fromMs } from '../rules/time.ts';
import { formatDuration } from '../config/quantities.ts';
import { mappingsOf } from '../config/profiles.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { sourceDefinition } from '../sources/registry.ts';
import type { Call } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { openLedger } from './open.ts';
import { query } from './warehouse.ts';
import { rawTable } from '../warehouses/registry.ts';

/** Records of one entity and object whose newest version is past the entity's retention. */
export interface Overdue {
  entity: string;
  object: string;
  keepMs: number;
  records: number;
}

/** What sweeps are about to erase; nothing is changed. Whole records only: a part, such as consent, is counted with its record. */
export async function overdue(loaded: LoadedConfig): Promise<Overdue[]> {
  const { config } = loaded;
  const { profiles } = config;
  if (profiles === undefined || Object.keys(profiles.retention).length === 0) return [];
  const ledger = await openLedger(config);
  const found: Overdue[] = [];
  try {
    for (const { name, kind, objects } of Object.values(config.connections)) {
      const ready = sourceDefinition(kind)?.mappings ?? {};
      for (const object of objects === 'all' ? Object.keys(ready) : objects) {
        const [main] = mappingsOf(profiles, ready, name, object).filter(({ part }) => part === '');
        const keepMs = main === undefined ? undefined : profiles.retention[main.entity.name];
        const schema = (await ledger.schema(name, object))?.schema;
        if (main === undefined || keepMs === undefined || schema === undefined) continue;
        const table = rawTable(config.warehouse, name, schema.table);
        const before = fromMs(Date.now() - keepMs);
        const answer = await query(
          loaded,
          `SELECT count(*) AS n FROM ${table} WHERE _version < TIMESTAMPTZ '${before}'`,
          1,
        );
        const records = Number(answer.rows[0]?.[0] ?? 0);
        found.push({ entity: main.entity.name, object: `${name}.${object}`, keepMs, records });
      }
    }
  } finally {
    await ledger.close();
  }
  return found;
}

export async function showOverdue(call: Call): Promise<number> {
  const found = await overdue(await call.load());
  if (call.json) call.output.json(found);
  else if (found.length === 0) call.output.line('No entity has a retention.');
  else
    call.output.table(
      [
        { title: 'entity' },
        { title: 'object' },
        { title: 'kept' },
        { title: 'records past it', align: 'right' },
      ],
      found.map(({ entity, object, keepMs, records }) => [
        entity,
        object,
        formatDuration(keepMs),
        formatCount(records),
      ]),
    );
  return EXIT.ok;
}
