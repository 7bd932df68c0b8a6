// Part of audit: compares an object's copy with the source in three levels, and says which records differ. It writes nothing.
import { Context } from '@temporalio/activity';
import { gapFreeEnd } from '../rules/coverage.ts';
import {
  auditBuckets,
  auditKey,
  countKinds,
  countVerdict,
  differingIds,
  halves,
  judge,
  looksBroken,
  NOT_ROTATED,
  objectsPerRun,
  rotated,
  rowsPerRun,
} from '../rules/drift.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { formatCount } from '../rules/report.ts';
import { addMs, fromMs } from '../rules/time.ts';
import {
  objectAuditSchema,
  type AuditInput,
  type AuditPolicy,
  type Finding,
  type ObjectAudit,
  type Rotation,
} from '../schemas/audit.ts';
import { ORIGIN, type Instant } from '../schemas/instant.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { Interval } from '../schemas/window.ts';
import type { Source } from '../sources/source.ts';
import type { WarehouseAudit } from '../warehouses/warehouse.ts';
import { unclaimed, unknownToProfiles } from './audit-claims.ts';
import { changedIds, IDS_PER_BATCH_MAX, withRecords } from './audit-records.ts';
import { auditOf, knownSchema } from './audit-repair.ts';
import { connectionSettings, type OpenSources } from './connections.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { isPaused } from './pauses.ts';
import { objectsOf } from './plan.ts';
import { readRefresh } from './refresh-state.ts';

/** More records than these changing since the checkpoint: the object is looked at after the next run. */
const CHANGED_IDS_MAX = 100_000;
/** Records that one audit of one object reads by their ids; what differs beyond is found by the next one. */
const JUDGED_MAX = 20_000;
/** Calls for cutting buckets whose counts contradict each other; down to so many rows. */
const CUTS_MAX = 20;
const BUCKET_ROWS_MIN = 5_000;
/** Records of the sample that seem to be gone and are asked for once more by their stamps. */
const WITNESSED_MAX = 100;

export interface AuditPlan {
  objects: string[];
  /** Objects that wait for the next audits: the share of the quota does not reach for all at once. */
  later: number;
  policy: AuditPolicy;
  profiles: boolean;
}

export interface AuditObjectInput {
  connection: string;
  object: string;
  /** How many objects share the quota. */
  objects: number;
  /** Seeds the sample. */
  seed: string;
}

export interface AuditedObject {
  line: ObjectAudit;
  findings: Finding[];
  /** The checkpoint that it compared up to. */
  until: Instant;
}

/** The objects that can be audited: those with a first load that are not paused. */
export async function planAudit(
  dependencies: Dependencies,
  sources: OpenSources,
  { connection, objects, trigger }: AuditInput,
): Promise<AuditPlan> {
  auditOf(dependencies);
  const settings = connectionSettings(dependencies, connection);
  const all = await objectsOf(settings, () => sources.source(connection, 'backfill'));
  const unknown = objects?.find((object) => !all.includes(object));
  if (unknown !== undefined)
    throw new HeadwaterError('INPUT_INVALID', `${connection} does not sync ${unknown}`);
  const ready: string[] = [];
  for (const object of objects ?? all) {
    const covered = await dependencies.ledger.sinkCoverage(dependencies.sink, connection, object);
    const paused = await isPaused(dependencies.ledger, connection, object);
    if (gapFreeEnd(covered) !== null && !paused) ready.push(object);
  }
  const chosen = trigger === 'schedule' ? await mostDue(dependencies, settings, ready) : ready;
  return {
    ...{ objects: chosen, later: ready.length - chosen.length, policy: settings.audit },
    profiles: dependencies.profiles !== undefined,
  };
}

/** Those that were looked at longest ago, as many as the share of the quota affords. */
async function mostDue(
  dependencies: Dependencies,
  { name, audit }: ConnectionSettings,
  objects: string[],
): Promise<string[]> {
  const quota = await dependencies.ledger.quota(name);
  const limit = quota === null || quota.limit <= 0 ? null : quota.limit;
  const most = objectsPerRun(objects.length, audit, limit);
  if (most === objects.length) return objects;
  const seen = await Promise.all(
    objects.map(async (object) => ({
      object,
      at: (await lastAudit(dependencies, name, object))?.at ?? ORIGIN,
    })),
  );
  return seen
    .toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0))
    .slice(0, most)
    .map(({ object }) => object);
}

interface Look {
  dependencies: Dependencies;
  settings: ConnectionSettings;
  source: Source;
  audit: WarehouseAudit;
  schema: ObjectSchema;
  /** The checkpoint: what is behind it is the next window's business. */
  until: Instant;
  changed: ReadonlySet<string>;
  line: ObjectAudit;
  /** Ids that need a closer look. */
  suspects: Set<string>;
  /** Records that were set aside, and not resolved since. */
  aside: Set<string>;
}

export async function auditObject(
  dependencies: Dependencies,
  sources: OpenSources,
  input: AuditObjectInput,
): Promise<AuditedObject> {
  const { connection, object } = input;
  const { ledger, sink } = dependencies;
  const settings = connectionSettings(dependencies, connection);
  const schema = await knownSchema(dependencies, connection, object);
  const until = gapFreeEnd(await ledger.sinkCoverage(sink, connection, object));
  const before = await lastAudit(dependencies, connection, object);
  const line = newLine(dependencies, object, before?.rotation ?? null);
  const nothing = { line, findings: [], until: until ?? ORIGIN };
  if (schema === null || until === null) return nothing;
  if (schema.stamp === null) {
    return { ...nothing, line: { ...line, code: 'NOTE', message: 'has no stamps: each run reads it whole' } };
  }
  const source = await sources.source(connection, 'backfill');
  const changed = await dependencies.lanes('api', () => changedIds(source, schema, until, CHANGED_IDS_MAX));
  if (changed === null) {
    const message = `more than ${formatCount(CHANGED_IDS_MAX)} records changed since the checkpoint: looked at by the next audit`;
    return { ...nothing, line: { ...line, code: 'NOTE', message } };
  }
  const audit = auditOf(dependencies);
  const look: Look = {
    ...{
      dependencies,
      settings,
      source,
      audit,
      schema,
      until,
      changed,
      line,
      suspects: new Set(),
      aside: new Set(),
    },
  };
  await countBuckets(look);
  line.rotation = await compareVersions(look, input.objects, line.rotation ?? NOT_ROTATED);
  const sample = await dependencies.lanes('warehouse', () =>
    audit.sample(connection, schema, until, settings.audit.sampleRows, input.seed),
  );
  line.sampled = sample.length;
  const findings = await readAndJudge(look, sample);
  line.found = countKinds(findings);
  line.left = findings.length;
  return { line, findings, until };
}

function newLine({ now }: Dependencies, object: string, rotation: Rotation | null): ObjectAudit {
  const at = fromMs(now());
  const counts = { rows: 0, buckets: 0, bucketsOff: 0, compared: 0, sampled: 0, repaired: 0, left: 0 };
  return { object, at, ...counts, found: {}, records: [], rotation };
}

export async function lastAudit(
  { ledger }: Pick<Dependencies, 'ledger'>,
  connection: string,
  object: string,
): Promise<ObjectAudit | null> {
  const text = await ledger.meta(auditKey(connection, object));
  return text === null ? null : objectAuditSchema.parse(JSON.parse(text));
}

/** L1: counts by time bucket. Where two contradict each other, the bucket is cut and its ids are compared. */
async function countBuckets(look: Look): Promise<void> {
  const { audit, schema, settings, line, until, changed, source, dependencies } = look;
  const { lanes } = dependencies;
  const buckets = auditBuckets(until);
  const held = await lanes('warehouse', () => audit.counts(settings.name, schema, buckets));
  const aside = await lanes('warehouse', () => audit.quarantined(settings.name, schema.object, JUDGED_MAX));
  for (const { record } of aside) look.aside.add(record);
  const slack = { changed: changed.size, aside: aside.length };
  const off: Interval[] = [];
  let total: number | 'unknown' = 0;
  for (const [index, interval] of buckets.entries()) {
    const { all = 0, alive = 0 } = held[index] ?? {};
    line.rows += alive;
    const count = await lanes('api', () => source.count(schema, interval));
    total = total === 'unknown' || count === 'unknown' ? 'unknown' : total + count;
    const verdict = countVerdict({ source: count, all, alive }, slack);
    if (verdict === 'short' || verdict === 'over') off.push(interval);
    beat({ counting: index + 1 });
  }
  line.buckets = buckets.length;
  line.bucketsOff = off.length;
  // I6: nothing is concluded from a source that suddenly shows next to nothing.
  if (looksBroken(total, changed.size, line.rows)) {
    throw new HeadwaterError(
      'SHRINK_GUARD',
      `${settings.name}.${schema.table} holds ${line.rows} rows and the source now reports ${total}; nothing was changed`,
    );
  }
  for (const interval of off) await compareRange(look, await narrowed(look, interval, slack));
}

/** The part of a bucket that its counts blame, as far as a few calls lead. */
async function narrowed(
  look: Look,
  interval: Interval,
  slack: { changed: number; aside: number },
): Promise<Interval> {
  const { audit, schema, settings, source, dependencies } = look;
  const { lanes } = dependencies;
  let part = interval;
  for (let cuts = 0; cuts < CUTS_MAX; cuts += 1) {
    const [first] = (await lanes('warehouse', () => audit.versions(settings.name, schema, part, 1))) ?? [];
    const cut = halves(part, first?.version ?? part.from);
    if (cut === null) return part;
    const held = await lanes('warehouse', () => audit.counts(settings.name, schema, [part, ...cut]));
    if ((held[0]?.all ?? 0) <= BUCKET_ROWS_MIN) return part;
    const off: Interval[] = [];
    for (const [index, half] of cut.entries()) {
      const { all = 0, alive = 0 } = held[index + 1] ?? {};
      const count = await lanes('api', () => source.count(schema, half));
      const verdict = countVerdict({ source: count, all, alive }, slack);
      if (verdict === 'short' || verdict === 'over') off.push(half);
    }
    const [only] = off;
    if (only === undefined || off.length > 1) return part;
    part = only;
  }
  return part;
}

/** L2 over a whole range, piece by piece. */
async function compareRange(look: Look, range: Interval): Promise<void> {
  let from = range.from;
  while (from < range.until) {
    const { until } = await comparePiece(look, { from, until: range.until }, BUCKET_ROWS_MIN);
    from = until;
    if (look.suspects.size > JUDGED_MAX) return;
  }
}

/** Ids and stamps of the next `rowsMax` rows, as both sides have them. Where one moment has too many, it is left to the counts. */
async function comparePiece(
  look: Look,
  interval: Interval,
  rowsMax: number,
): Promise<{ until: Instant; whole: boolean }> {
  const { audit, schema, settings, source, dependencies, line } = look;
  const { lanes } = dependencies;
  const held = await lanes('warehouse', () => audit.versions(settings.name, schema, interval, rowsMax));
  if (held === null) {
    const [first] =
      (await lanes('warehouse', () => audit.versions(settings.name, schema, interval, 1))) ?? [];
    const next = addMs(first?.version ?? interval.from, 1);
    return { until: next > interval.from ? next : interval.until, whole: false };
  }
  const whole = held.length < rowsMax;
  const last = held.at(-1)?.version ?? null;
  const until = whole || last === null ? interval.until : addMs(last, 1);
  const { cancellationSignal: signal } = Context.current();
  await lanes('api', async () => {
    const versions: { id: string; stamp: Instant; deleted: boolean }[] = [];
    for await (const stamps of source.stamps(schema, { from: interval.from, until }, signal)) {
      versions.push(...stamps);
      beat({ comparing: versions.length });
      // Many more than here: the counts will tell, and a partial window compares whatever number of ids.
      if (versions.length > rowsMax * 4 + BUCKET_ROWS_MIN) break;
    }
    line.compared += Math.max(versions.length, held.length);
    for (const id of differingIds(versions, held)) look.suspects.add(id);
  });
  const alive = held.flatMap(({ record, deleted }) => (deleted ? [] : [record]));
  const { name } = settings;
  for (const id of await unknownToProfiles(dependencies, name, schema.object, alive, look.aside))
    look.suspects.add(id);
  return { until, whole };
}

/** L2: ids and stamps of a part of all records, the next part in the next run. */
async function compareVersions(look: Look, objects: number, before: Rotation): Promise<Rotation> {
  const { dependencies, settings, line, until } = look;
  const quota = await dependencies.ledger.quota(settings.name);
  const { rowsMax, periodMs } = rowsPerRun(
    line.rows,
    settings.audit,
    quota === null || quota.limit <= 0 ? null : { limit: quota.limit, objects },
  );
  const cursor = before.cursor < until ? before.cursor : ORIGIN;
  const piece = await comparePiece(look, { from: cursor, until }, rowsMax);
  return rotated(before, { ...piece, at: fromMs(dependencies.now()), periodMs });
}

/** L3, and the judge of the other two: whole records by their ids, read now, beside what both sides hold now. */
async function readAndJudge(look: Look, sample: readonly string[]): Promise<Finding[]> {
  const { dependencies, settings, schema, source, audit, until, changed, suspects } = look;
  const { lanes } = dependencies;
  const ids = [...new Set([...suspects, ...sample])].slice(0, JUDGED_MAX);
  const except = await silentFields(look);
  const findings: Finding[] = [];
  for (let at = 0; at < ids.length; at += IDS_PER_BATCH_MAX) {
    const asked = ids.slice(at, at + IDS_PER_BATCH_MAX);
    const request = { settings, source, schema, ids: asked, purpose: `audit ${at}` };
    await withRecords(dependencies, request, async (read) => {
      const compared = await lanes('warehouse', () => audit.compare(read.request, except));
      const held = await lanes('warehouse', () => audit.held(settings.name, schema, asked));
      const judged = judge({ asked, compared, held, changed, until });
      findings.push(...(await witnessed(look, judged.findings, held)));
      findings.push(...(await unclaimed(dependencies, read, judged.agreeing)));
    });
    beat({ read: at + asked.length });
  }
  return findings;
}

/** Formulas change without a stamp, and new fields reach old rows later: neither is drift, the refresh is there for them. */
async function silentFields({ dependencies, settings, schema }: Look): Promise<string[]> {
  const { added } = await readRefresh(dependencies.ledger, settings.name, schema.object);
  const formulas = schema.fields.filter(({ calculated }) => calculated).map(({ name }) => name);
  return [...formulas, ...(added?.fields ?? [])];
}

/**
 * I6: a record is gone only if two lists of the source lack it: by its id, and by its stamp. What the comparison of stamps has
 * found needs no further witness; of a sample, so many as a few calls can confirm.
 */
async function witnessed(
  { dependencies, source, schema, suspects }: Look,
  found: readonly Finding[],
  held: readonly { record: string; version: Instant | null }[],
): Promise<Finding[]> {
  const versions = new Map(held.map(({ record, version }) => [record, version]));
  const { cancellationSignal: signal } = Context.current();
  const sure: Finding[] = [];
  let asked = 0;
  for (const finding of found) {
    if (finding.kind !== 'kept' || suspects.has(finding.record)) {
      sure.push(finding);
      continue;
    }
    const version = versions.get(finding.record) ?? null;
    asked += 1;
    if (asked > WITNESSED_MAX || version === null) continue;
    const alive = await dependencies.lanes('api', async () => {
      for await (const stamps of source.stamps(schema, { from: version, until: addMs(version, 1) }, signal))
        if (stamps.some(({ id, deleted }) => id === finding.record && !deleted)) return true;
      return false;
    });
    if (!alive) sure.push(finding);
    beat({ witnessed: asked });
  }
  return sure;
}

function beat(progress: Record<string, number>): void {
  Context.current().heartbeat(progress);
  Context.current().cancellationSignal.throwIfAborted();
}

/** Keeps what the audit made of the object; the command line and the next audit read it. */
export async function settleAudit(
  { ledger }: Dependencies,
  { connection, line }: { connection: string; line: ObjectAudit },
): Promise<void> {
  await ledger.setMeta(auditKey(connection, line.object), JSON.stringify(line));
}
