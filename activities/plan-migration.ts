// Before a migration: what a warehouse lacks of each object, what of it the stage still holds, and what has to be read again.
import { add, gapFreeEnd } from '../rules/coverage.ts';
import { estimateCalls } from '../rules/backfill.ts';
import { ORIGIN } from '../schemas/instant.ts';
import type { MigrationObject, MigrationPlan } from '../schemas/migration.ts';
import type { Source } from '../sources/source.ts';
import { connectionSettings, type OpenSources } from './connections.ts';
import { forSink } from './copies.ts';
import type { Dependencies } from './dependencies.ts';
import { objectsOf } from './plan.ts';
import { lacksGolden } from './publish-history.ts';
import { stillStaged } from './still-staged.ts';
import { compareSink } from './sink.ts';

/** Windows whose receipts are looked up at once, newest first. */
const WINDOWS_MAX = 100_000;

export interface PlanMigrationInput {
  connection: string;
  sink: string;
  objects?: string[] | undefined;
}

/** Counts rows in the source, one call for each object that must be read again; reads and writes nothing else. */
export async function planMigration(
  dependencies: Dependencies,
  sources: OpenSources,
  { connection, sink, objects }: PlanMigrationInput,
): Promise<MigrationPlan> {
  const at = await forSink(dependencies, sink);
  const settings = connectionSettings(dependencies, connection);
  const source = await sources.source(connection, 'backfill');
  // What the warehouse proves by itself need not be moved: it may have been filled before, under another name.
  await compareSink(at, connection);
  const configured = await objectsOf(settings, () => Promise.resolve(source));
  const wanted = configured.filter((object) => objects === undefined || objects.includes(object));
  const planned: MigrationObject[] = [];
  for (const object of wanted) planned.push(await planObject(at, source, connection, object));
  const quota = await dependencies.ledger.quota(connection);
  return {
    ...{ connection, sink, objects: planned },
    ...(dependencies.profiles === undefined
      ? {}
      : { golden: (await lacksGolden(dependencies, sink)) ? 'behind' : 'level' }),
    calls: planned.reduce(
      (calls, { way, readRows }) => calls + (way === 'read' ? estimateCalls(readRows) : 0),
      0,
    ),
    quota: quota === null ? null : { used: quota.used, limit: quota.limit },
  };
}

async function planObject(
  at: Dependencies,
  source: Source,
  connection: string,
  object: string,
): Promise<MigrationObject> {
  const { ledger, sink } = at;
  const nothing = { object, stagedWindows: 0, stagedRows: 0, readRows: null };
  const proven = gapFreeEnd(await ledger.coverage(connection, object));
  if (proven === null) return { ...nothing, way: 'no first load' };
  let coverage = await ledger.sinkCoverage(sink, connection, object);
  const isLevel = () => (gapFreeEnd(coverage) ?? ORIGIN) >= proven;
  const lacking = (await ledger.undelivered(sink, connection)).filter((window) => window.object === object);
  if (isLevel() && lacking.length === 0) return { ...nothing, way: 'level' };
  const known = await ledger.windows({ connection, object, limit: WINDOWS_MAX });
  const received = new Map(known.map(({ id, receipt }) => [id, receipt?.transport.received ?? null]));
  const staged = await stillStaged(at, lacking);
  const empty = lacking.filter(({ id, slices }) => slices.length === 0 && received.get(id) === 0);
  for (const { from, until, fields } of [...staged, ...empty])
    if (fields === undefined) coverage = add(coverage, { from, until });
  const stagedRows = staged.reduce((rows, { id }) => rows + (received.get(id) ?? 0), 0);
  const found = { object, stagedWindows: staged.length + empty.length, stagedRows };
  if (isLevel()) return { ...found, way: 'stage', readRows: null };
  const schema = (await ledger.schema(connection, object))?.schema ?? (await source.describe(object));
  const counted = await at.lanes('api', () => source.count(schema, { from: ORIGIN, until: proven }));
  return { ...found, way: 'read', readRows: counted === 'unknown' ? null : counted };
}
