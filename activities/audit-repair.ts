// Part of audit and replay: lands records that were read by id, and brings the profiles up to date with them.
import { Context } from '@temporalio/activity';
import { HeadwaterError } from '../rules/errors.ts';
import { fromMs } from '../rules/time.ts';
import type { Finding } from '../schemas/audit.ts';
import type { Instant } from '../schemas/instant.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { Cause } from '../stores/claims/claims.ts';
import type { ComparedRow, LoadRequest, WarehouseAudit } from '../warehouses/warehouse.ts';
import { IDS_PER_BATCH_MAX, withRecords, type ReadRecords } from './audit-records.ts';
import { connectionSettings, type OpenSources } from './connections.ts';
import { onEachCopy } from './copies.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { NO_GOLDEN, reconcileBatches } from './reconcile.ts';

/** I6: tombstones that a repair may write without asking, and as a share of the table. */
const KEPT_ROWS_MAX = 1_000;
const KEPT_SHARE_MAX = 0.1;

export interface RepairInput {
  connection: string;
  object: string;
  /** At most IDS_PER_BATCH_MAX. */
  findings: Finding[];
  /** Of all parts of this repair: records that would become tombstones. */
  keptTotal: number;
  /** The checkpoint: a record that is gone is taken for deleted by then. */
  until: Instant;
  part: number;
}

export interface Repaired {
  repaired: number;
  /** Still different, or refused. */
  left: number;
  /** Profiles that were made or changed by records that differed in nothing else. */
  unclaimed: number;
}

export function auditOf({ warehouse }: Dependencies): WarehouseAudit {
  if (warehouse.audit !== undefined) return warehouse.audit;
  throw new HeadwaterError('INPUT_INVALID', 'this warehouse cannot be audited');
}

/** As the warehouse's table follows it; null before the first load. */
export async function knownSchema(
  { ledger }: Dependencies,
  connection: string,
  object: string,
): Promise<ObjectSchema | null> {
  return (await ledger.schema(connection, object))?.schema ?? null;
}

/**
 * The smallest re-sync that repairs: these records by their ids, and tombstones for those that are gone. The same guards by
 * version as any load, so a newer row never goes back, and a repetition changes nothing.
 */
export async function repairDrift(
  dependencies: Dependencies,
  sources: OpenSources,
  input: RepairInput,
): Promise<Repaired> {
  const { connection, object, findings, until } = input;
  const settings = connectionSettings(dependencies, connection);
  const schema = await knownSchema(dependencies, connection, object);
  if (schema === null || findings.length === 0) return { repaired: 0, left: findings.length, unclaimed: 0 };
  await guardKept(dependencies, connection, schema, input.keptTotal);
  const ofKinds = (wanted: (kind: Finding['kind']) => boolean) =>
    findings.filter(({ kind }) => wanted(kind)).map(({ record }) => record);
  const gone = ofKinds((kind) => kind === 'kept');
  const differing = ofKinds((kind) => kind !== 'kept' && kind !== 'unclaimed');
  const unclaimed = ofKinds((kind) => kind === 'unclaimed');
  const source = await sources.source(connection, 'backfill');
  const asked = {
    settings,
    source,
    schema,
    // What was gone a moment ago is asked for once more: it may be back.
    ids: [...differing, ...unclaimed, ...gone].slice(0, IDS_PER_BATCH_MAX),
    purpose: `repair ${input.part}`,
  };
  const back = new Set<string>();
  let profiles = 0;
  const first = await withRecords(dependencies, asked, async (read) => {
    const { repaired } = await land(dependencies, settings, read, { doubt: differing, back });
    profiles = await claim(dependencies, read, unclaimed);
    await claim(dependencies, read, [...differing, ...gone]);
    return repaired;
  });
  const erased = gone.filter((record) => !back.has(record));
  let repaired = [...differing, ...gone].filter((record) => first.has(record)).length;
  if (erased.length > 0) {
    const tombs = { ...asked, ids: [], gone: { ids: erased, at: until }, purpose: `remove ${input.part}` };
    await withRecords(dependencies, tombs, async (read) => {
      await land(dependencies, settings, read, { doubt: [], back });
      await claim(dependencies, read, erased);
    });
    const held = await dependencies.lanes('warehouse', () =>
      auditOf(dependencies).held(connection, schema, erased),
    );
    repaired += held.filter(({ deleted }) => deleted).length;
  }
  const left = differing.length + gone.length - repaired;
  return { repaired, left, unclaimed: profiles };
}

/** I6: a source that lacks a large part is more likely broken than empty. */
async function guardKept(
  { warehouse, lanes }: Dependencies,
  connection: string,
  schema: ObjectSchema,
  kept: number,
): Promise<void> {
  if (kept <= KEPT_ROWS_MAX) return;
  const present = await lanes('warehouse', () => warehouse.count(connection, schema.table));
  if (kept <= present * KEPT_SHARE_MAX) return;
  throw new HeadwaterError(
    'SHRINK_GUARD',
    `${connection}.${schema.table}: ${kept} of ${present} rows are no longer in the source; nothing was marked deleted`,
  );
}

/** Loads the batch and looks again: what is the same now was repaired. */
export async function land(
  dependencies: Dependencies,
  settings: ConnectionSettings,
  { request, window }: ReadRecords,
  { doubt, back }: { doubt: readonly string[]; back: Set<string> },
): Promise<{ repaired: Set<string>; compared: ComparedRow[] }> {
  const { warehouse, lanes } = dependencies;
  const audit = auditOf(dependencies);
  // I2: an audit looks at the main one, so that one is mended last: what it finds next time is what a copy missed.
  await onEachCopy(dependencies, (copy) => landIn(copy, settings, request, doubt));
  const compared = await lanes('warehouse', async () => {
    await warehouse.migrate(window.connection, request.schema, settings.policy);
    if (doubt.length > 0) await audit.doubt(window.connection, request.schema, [...doubt]);
    await warehouse.load(request, Context.current().cancellationSignal);
    return audit.compare(request, []);
  });
  const repaired = new Set<string>();
  for (const { record, state } of compared) {
    if (state !== 'aside') back.add(record);
    if (state === 'same' || state === 'newer') repaired.add(record);
  }
  return { repaired, compared };
}

async function landIn(
  { warehouse, lanes }: Dependencies,
  settings: ConnectionSettings,
  request: LoadRequest,
  doubt: readonly string[],
): Promise<void> {
  const { connection } = request.window;
  await lanes('warehouse', async () => {
    await warehouse.migrate(connection, request.schema, settings.policy);
    if (doubt.length > 0) await warehouse.audit?.doubt(connection, request.schema, [...doubt]);
    await warehouse.load(request, Context.current().cancellationSignal);
  });
}

/** Profiles that a repair touches get an event like any other, with the audit as its cause. */
async function claim(
  dependencies: Dependencies,
  { window, request, batch }: ReadRecords,
  records: readonly string[],
): Promise<number> {
  const { profiles } = dependencies;
  if (profiles === undefined || records.length === 0) return 0;
  const summary = { ...NO_GOLDEN };
  const only = new Set(records);
  const given = { window, schema: request.schema, batches: [batch], summary, only, quiet: true };
  const cause = auditCause(dependencies, 'drift: found by an audit');
  await dependencies.lanes('claims', () => reconcileBatches(dependencies, profiles, { ...given, cause }));
  return summary.created + summary.changed + summary.merged;
}

export function auditCause({ now }: Dependencies, reason: string): Cause {
  const run = Context.current().info.workflowExecution?.workflowId ?? null;
  return { via: 'backfill', run, actor: null, reason, at: fromMs(now()) };
}
