// Part of inbox: reads the records that events name, and adds what they hold now as claims.
import { Context } from '@temporalio/activity';
import { HeadwaterError } from '../rules/errors.ts';
import { fromMs } from '../rules/time.ts';
import type { Instant } from '../schemas/instant.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { GoldenSummary } from '../schemas/run.ts';
import type { InboxRow } from '../stores/inbox/inbox.ts';
import type { Cause } from '../stores/claims/claims.ts';
import type { QuarantinedRow } from '../warehouses/warehouse.ts';
import { readRecords, windowOf, type ReadRecords, type RecordsRequest } from './audit-records.ts';
import { knownSchema } from './audit-repair.ts';
import { connectionSettings, type OpenSources } from './connections.ts';
import type { ConnectionSettings, Dependencies, FastLane } from './dependencies.ts';
import { failpoint } from './failpoints.ts';
import { NO_GOLDEN, reconcileBatches } from './reconcile.ts';

/** What one object's events came to; nothing was read of a system that only pushes and was only asked about. */
export interface Claimed {
  /** Read and in the claims; their files stay until they have landed. */
  read: ReadRecords[];
  /** Records that fit no shared schema; the warehouse is told when they land. */
  aside: QuarantinedRow[];
  golden: GoldenSummary;
  fetched: number;
  /** Named as changed and not there: asked for again before they are taken for deleted. */
  unsure: InboxRow[];
}

export function fastLaneOf({ fast }: Dependencies): FastLane {
  if (fast !== undefined) return fast;
  throw new HeadwaterError('INPUT_INVALID', 'the configuration takes no webhooks', {
    remedy: 'Add `webhooks: {}` to a connection in headwater.config.ts and restart the worker.',
  });
}

/** Single records wait in no line of bulk work; only the warehouse has one for all. */
export function beside(dependencies: Dependencies): Dependencies {
  const { shaper } = fastLaneOf(dependencies);
  return { ...dependencies, shaper, lanes: (_, work) => work() };
}

/** Events of one object, all hints or all rows. Throws what befell them all; nothing is settled here. */
export async function claimEvents(
  dependencies: Dependencies,
  sources: OpenSources,
  connection: string,
  events: readonly InboxRow[],
): Promise<Claimed> {
  const object = rawObject(events[0]?.object ?? '');
  const settings = connectionSettings(dependencies, connection);
  requireConfigured(settings, object);
  const source = await sources.source(connection, 'webhook');
  const isRows = events[0]?.kind === 'row';
  const cannotAsk = settings.capabilities.pushOnly === true;
  const known = await knownSchema(dependencies, connection, object);
  if (known === null && !isRows && !cannotAsk)
    throw new HeadwaterError('FIRST_LOAD_MISSING', `${connection} ${object} has no first load yet`);
  const schema = known ?? (await source.describe(object));
  const claimed: Claimed = { read: [], aside: [], golden: { ...NO_GOLDEN }, fetched: 0, unsure: [] };
  const asked = { settings, source, schema, ids: [] as string[] };
  const read = async (ids: string[]) => {
    const found = await claim(dependencies, { ...asked, ids, purpose: purposeOf() }, claimed);
    claimed.fetched = ids.length;
    return absentOf(beside(dependencies), schema, found, ids);
  };
  try {
    if (isRows) {
      await claim(dependencies, { ...asked, given: rowsOf(events), purpose: purposeOf() }, claimed);
      return claimed;
    }
    const newest = newestHints(events);
    const ids = [...newest.keys()];
    const absent = cannotAsk ? deletedAmong(newest) : await read(ids);
    const now = fromMs(dependencies.now());
    const gone = new Map<string, Instant>();
    for (const id of absent) {
      const event = newest.get(id);
      if (event === undefined) continue;
      // A record may be told of a moment before it can be read; only its second absence is believed.
      if (event.kind === 'changed' && event.attempts === 0) {
        claimed.unsure.push(...events.filter(({ record }) => record === id));
        continue;
      }
      gone.set(id, event.kind === 'deleted' ? (event.at ?? now) : now);
    }
    if (gone.size > 0) {
      const tombs = { ids: [...gone.keys()], at: gone };
      await claim(dependencies, { ...asked, gone: tombs, purpose: purposeOf() }, claimed);
    }
    return claimed;
  } catch (error) {
    for (const { window } of claimed.read) await dependencies.stage.remove(window.id);
    throw error;
  }
}

/** Without the name of a part: what is asked for is the whole record. */
const rawObject = (object: string): string => object.split('/', 1)[0] ?? object;

/** Of a system that only pushes and cannot be asked, its word alone counts. */
function deletedAmong(newest: ReadonlyMap<string, InboxRow>): string[] {
  return [...newest.values()].flatMap(({ kind, record }) => (kind === 'deleted' ? [record] : []));
}

function requireConfigured({ name, objects, exclude }: ConnectionSettings, object: string): void {
  const chosen = objects === 'all' ? !exclude.includes(object) : objects.includes(object);
  if (chosen) return;
  throw new HeadwaterError('OBJECT_UNKNOWN', `${name} ${object} is not among the configured objects`);
}

/** The newest word on each record: a deletion after a change is a deletion. */
function newestHints(events: readonly InboxRow[]): Map<string, InboxRow> {
  const newest = new Map<string, InboxRow>();
  for (const event of events) {
    const known = newest.get(event.record);
    const isOlder = known?.at !== null && event.at !== null && known !== undefined && event.at < known.at;
    if (!isOlder) newest.set(event.record, event);
  }
  return newest;
}

/**
 * Rows are confirmed as of the time of the oldest of them: one that comes late or again must not outrank what was read since
 * at the same stamp.
 */
function rowsOf(events: readonly InboxRow[]): { rows: Record<string, unknown>[]; at: Instant } {
  const times = events.map(({ at, acceptedAt }) => (at === null || at > acceptedAt ? acceptedAt : at));
  return { rows: events.map(({ values }) => values ?? {}), at: times.toSorted()[0] ?? fromMs(0) };
}

let reads = 0;

/** No two reads share a window: a batch of an earlier one must not be taken for this one. */
function purposeOf(): string {
  reads += 1;
  return `inbox ${process.pid} ${Date.now()} ${reads}`;
}

async function claim(
  dependencies: Dependencies,
  asked: RecordsRequest,
  claimed: Claimed,
): Promise<ReadRecords> {
  const { stage, profiles } = dependencies;
  const fast = beside(dependencies);
  const window = windowOf(dependencies, asked);
  try {
    const read = await readRecords(fast, asked, window);
    if (profiles !== undefined)
      await reconcileBatches(fast, profiles, {
        ...{ window, schema: asked.schema, batches: [read.batch], summary: claimed.golden },
        cause: webhookCause(dependencies),
        setAside: (rows) => claimed.aside.push(...rows),
      });
    failpoint('inbox:claimed');
    claimed.read.push(read);
    return read;
  } catch (error) {
    await stage.remove(window.id);
    throw error;
  }
}

/** Neither among the rows nor set aside. */
async function absentOf(
  { shaper }: Dependencies,
  schema: ObjectSchema,
  { request, batch }: ReadRecords,
  ids: readonly string[],
): Promise<string[]> {
  const { counts } = batch;
  if (counts.shaped === ids.length) return [];
  const found = new Set<string | null>();
  const key = schema.fields.find(({ name }) => name === schema.key)?.column ?? schema.key;
  const { rows, quarantine } = request.files;
  if (rows.length > 0)
    for await (const part of shaper.rows({ files: rows, key, columns: [], hashed: true }))
      for (const { record } of part) found.add(record);
  if (quarantine !== null)
    for await (const part of shaper.setAside(quarantine)) for (const { record } of part) found.add(record);
  // A row whose key could not be read may be any of them.
  return found.has(null) ? [] : ids.filter((id) => !found.has(id));
}

function webhookCause({ now }: Dependencies): Cause {
  const run = Context.current().info.workflowExecution?.workflowId ?? null;
  return { via: 'webhook', run, actor: null, reason: null, at: fromMs(now()) };
}
