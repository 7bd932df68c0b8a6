// Step 6, reconcile: maps the changed records of proven windows to the shared schemas and adds them as claims.
import { Context } from '@temporalio/activity';
import { compileMapping, type CompiledMapping } from '../mapping/compile.ts';
import { HeadwaterError } from '../rules/errors.ts';
import { NO_ROWS } from '../rules/receipts.ts';
import { CLAIMS_SINK } from '../rules/sinks.ts';
import type { Batch } from '../schemas/batch.ts';
import { ORIGIN } from '../schemas/instant.ts';
import type { Observation } from '../schemas/observation.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { GoldenSummary } from '../schemas/run.ts';
import type { Window } from '../schemas/window.ts';
import type { ShapedRow } from '../shaper/shaper.ts';
import type { ApplyReceipt, Cause, Claims } from '../stores/claims/claims.ts';
import type { QuarantinedRow } from '../warehouses/warehouse.ts';
import { tryEachCopy } from './copies.ts';
import type { Dependencies, Profiles } from './dependencies.ts';
import { failpoint } from './failpoints.ts';
import { countArrivals, noteArrivals, type Arrivals } from './inbox-poll.ts';

/** Observations that are mapped before they are added: bounds memory, and what a retry repeats. */
const OBSERVATIONS_MAX = 5_000;

export interface ReconcileInput {
  connection: string;
  /** A backfill's run, for the cause of each event. */
  backfill: boolean;
}

export const NO_GOLDEN: GoldenSummary = {
  observed: 0,
  known: 0,
  suppressed: 0,
  quarantined: 0,
  created: 0,
  changed: 0,
  merged: 0,
  reviews: 0,
  published: 0,
};

/** Every window that is proven and that the claims store lacks, oldest first. Repeating it, or dying in it, changes nothing (I1, I2). */
export async function reconcile(dependencies: Dependencies, input: ReconcileInput): Promise<GoldenSummary> {
  const { profiles, ledger } = dependencies;
  const summary = { ...NO_GOLDEN };
  if (profiles === undefined) return summary;
  await checkSink(dependencies, profiles.claims);
  const readWhole = new Set<string>();
  const owed = await ledger.undelivered(CLAIMS_SINK, input.connection);
  const waiting = await waitingForMain(dependencies, input.connection, owed);
  for (const window of owed) {
    if (waiting.has(window.id)) continue;
    const batches = await reconcileWindow(dependencies, profiles, window, input, summary, readWhole);
    const state = await profiles.claims.closeWindow(window.id, batches);
    failpoint('reconcile:closed');
    await ledger.commitSink(CLAIMS_SINK, [{ window: window.id, attempt: window.attempt }], state);
  }
  return summary;
}

/**
 * Whether reconcile has work. Windows without rows are noted as done here, so that an idle run needs no further activity.
 * Only windows that no earlier run left behind are looked at twice.
 */
export async function reconcileOwed(dependencies: Dependencies, connection: string): Promise<boolean> {
  const { profiles, ledger } = dependencies;
  if (profiles === undefined) return false;
  const owed = await ledger.undelivered(CLAIMS_SINK, connection);
  const empty = owed.filter(({ slices }) => slices.length === 0);
  if (empty.length > 0) {
    const done = empty.map(({ id, attempt }) => ({ window: id, attempt }));
    await ledger.commitSink(CLAIMS_SINK, done, await profiles.claims.sinkState());
  }
  return owed.length > empty.length;
}

/**
 * I2: which records a whole read no longer found is known once the main warehouse has landed it: until then it waits, and what came
 * later of the same object with it.
 */
async function waitingForMain(
  { ledger, sink }: Dependencies,
  connection: string,
  owed: readonly Window[],
): Promise<Set<string>> {
  const lacking = new Set((await ledger.undelivered(sink, connection)).map(({ id }) => id));
  const objects = new Set<string>();
  const waiting = new Set<string>();
  if (lacking.size === 0) return waiting;
  for (const { id, object, from } of owed) {
    const { schema } = await ledger.progress(id);
    if (lacking.has(id) && (from === ORIGIN || schema.stamp === null)) objects.add(object);
    if (objects.has(object)) waiting.add(id);
  }
  return waiting;
}

/** I7: a store that was deleted, or an older copy of it, is noticed before anything is added. */
async function checkSink({ ledger }: Dependencies, claims: Claims): Promise<void> {
  const [known, real] = [await ledger.sinkState(CLAIMS_SINK), await claims.sinkState()];
  if (known === null || (known.epoch === real.epoch && known.seq <= real.seq)) return;
  throw new HeadwaterError(
    'SINK_REWOUND',
    `the claims store holds less than the ledger has noted (${known.seq} windows noted, ${real.seq} there)`,
    { remedy: 'Make the profiles again with `npx headwater repair --profiles`.' },
  );
}

async function reconcileWindow(
  dependencies: Dependencies,
  profiles: Profiles,
  window: Window,
  input: ReconcileInput,
  summary: GoldenSummary,
  readWhole: Set<string>,
): Promise<string[]> {
  const { schema, slices } = await dependencies.ledger.progress(window.id);
  const batches = slices.flatMap(({ batch }) => (batch === null ? [] : [batch]));
  const cause = causeOf(dependencies, input);
  const before = profilesIn(summary);
  const arrivals = { brought: 0, unheard: 0 };
  try {
    await reconcileBatches(dependencies, profiles, { window, schema, batches, cause, summary, arrivals });
    await noteArrivals(dependencies, window, arrivals, profilesIn(summary) - before);
    const retired = await retiredBatch(dependencies, window, schema);
    await reconcileBatches(dependencies, profiles, { window, schema, batches: retired, cause, summary });
  } catch (error) {
    if (!(error instanceof HeadwaterError) || error.code !== 'STAGE_MISSING') throw error;
    if (!readWhole.has(window.object)) {
      const { fields: _, ...entire } = window;
      const whole = await tableBatch(dependencies, entire, schema);
      await reconcileBatches(dependencies, profiles, { window: entire, ...whole, cause, summary });
    }
    readWhole.add(window.object);
  }
  return batches.map(({ id }) => id);
}

/** Records that a whole read, or a comparison of ids, no longer found: the warehouse has marked them, and no page tells of them. */
async function retiredBatch(
  { warehouse, rawTable, lanes, stage }: Dependencies,
  window: Window,
  schema: ObjectSchema,
): Promise<Batch[]> {
  if (window.from !== ORIGIN && schema.stamp !== null) return [];
  const key = schema.fields.find(({ name }) => name === schema.key)?.column ?? schema.key;
  const gone = `FROM ${rawTable(window.connection, schema.table)} WHERE _window = '${window.id}' AND _deleted`;
  const path = await stage.reserve(`${window.id}/0/retired`, 'parquet');
  const rows = await lanes('warehouse', async () => {
    const counted = await warehouse.query(`SELECT count(*) ${gone}`, 1);
    if (Number(counted.rows[0]?.[0] ?? 0) === 0) return 0;
    return warehouse.export(`SELECT "${key}", _deleted, _version, _confirmed_at ${gone}`, path);
  });
  if (rows === 0) return [];
  const staged = await stage.adopt(path);
  return [{ ...ownBatch(`retired ${window.id}`, window), tombstones: staged.key }];
}

function ownBatch(id: string, window: Window): Batch {
  return { id, window: window.id, slice: 0, rows: [], tombstones: null, quarantine: null, counts: NO_ROWS };
}

/**
 * The stage keeps a window for some days only: after that the warehouse's own table says what each record holds now. Versions in
 * between are lost to the history then, never a current value.
 */
async function tableBatch(
  { warehouse, rawTable, lanes, stage, ledger }: Dependencies,
  window: Window,
  described: ObjectSchema,
): Promise<{ schema: ObjectSchema; batches: Batch[] }> {
  const schema = (await ledger.schema(window.connection, window.object))?.schema ?? described;
  const table = rawTable(window.connection, schema.table);
  const path = await stage.reserve(`${window.id}/0/table`, 'parquet');
  const columns = await lanes('warehouse', async () => {
    const { columns: present } = await warehouse.query(`SELECT * FROM ${table} LIMIT 1`, 1);
    await warehouse.export(`SELECT * FROM ${table}`, path);
    return new Set(present.map(({ name }) => name));
  });
  const { key } = await stage.adopt(path);
  const fields = schema.fields.filter(({ column }) => columns.has(column));
  return {
    schema: { ...schema, fields },
    batches: [{ ...ownBatch(`table ${window.id}`, window), rows: [key] }],
  };
}

export interface BatchesToReconcile {
  window: Window;
  /** What the batches hold: of a partial window its few fields. */
  schema: ObjectSchema;
  batches: readonly Batch[];
  cause: Cause;
  summary: GoldenSummary;
  /** Only these records; absent: all. */
  only?: ReadonlySet<string>;
  /** Set aside already: told in the summary, not once more in the warehouse. */
  quiet?: boolean;
  /** Counts new versions by whether they were there already, for what webhooks should have brought. */
  arrivals?: Arrivals;
  /** Takes rows that fit no schema, instead of the warehouse: who may not wait for it hands them on later. */
  setAside?: (rows: QuarantinedRow[]) => void;
}

/** Adds what shaped batches hold as claims; the same twice changes nothing (I1). */
export async function reconcileBatches(
  dependencies: Dependencies,
  profiles: Profiles,
  given: BatchesToReconcile,
): Promise<void> {
  const { window, schema, batches } = given;
  const always = new Set<string | null>([schema.key, schema.stamp, schema.deleted]);
  for (const one of profiles.mappings(window.connection, window.object)) {
    const mapping = compileMapping(one, window.connection, schema, profiles.phone);
    // A partial window without a field that is mapped says of a record only that it is gone.
    const goneOnly = window.fields !== undefined && mapping.reads.every((name) => always.has(name));
    for (const batch of batches) {
      const work = { dependencies, profiles, mapping, batch, goneOnly, ...given };
      await reconcileFiles(work, batch.rows, true);
      await reconcileFiles(work, batch.tombstones === null ? [] : [batch.tombstones], false);
    }
  }
}

function causeOf({ now }: Dependencies, input: ReconcileInput): Cause {
  const run = Context.current().info.workflowExecution?.workflowId ?? null;
  const at = new Date(now()).toISOString();
  return { via: input.backfill ? 'backfill' : 'poll', run, actor: null, reason: null, at };
}

interface Work extends BatchesToReconcile {
  dependencies: Dependencies;
  profiles: Profiles;
  mapping: CompiledMapping;
  batch: Batch;
  goneOnly: boolean;
}

async function reconcileFiles(work: Work, keys: string[], hashed: boolean): Promise<void> {
  const { dependencies, schema, mapping, window } = work;
  if (keys.length === 0) return;
  const files = await Promise.all(keys.map((key) => dependencies.stage.path(key)));
  const column = (name: string) => schema.fields.find((field) => field.name === name);
  const columns = hashed ? mapping.reads.flatMap((name) => column(name) ?? []) : [];
  const key = column(schema.key)?.column ?? schema.key;
  let part: Observation[] = [];
  for await (const rows of dependencies.shaper.rows({ files, key, columns, hashed })) {
    const { only, goneOnly } = work;
    const wanted = rows.filter(
      ({ record, deleted }) => (only === undefined || only.has(record)) && (deleted || !goneOnly),
    );
    if (wanted.length === 0) continue;
    part.push(...(await observations(work, wanted, window)));
    Context.current().heartbeat({ window: window.id, observed: work.summary.observed });
    Context.current().cancellationSignal.throwIfAborted();
    if (part.length < OBSERVATIONS_MAX) continue;
    await apply(work, part);
    part = [];
  }
  await apply(work, part);
}

/** Rows whose content and mapping the store knows are only confirmed; they never become objects. */
async function observations(work: Work, rows: ShapedRow[], window: Window): Promise<Observation[]> {
  const { profiles, mapping } = work;
  const { object } = mapping;
  const records = rows.map(({ record }) => record);
  const known = await profiles.claims.rowHashes(window.connection, object, records);
  const unchanged = rows.filter((row, at) => known[at] === rowHash(row, mapping) && row.hash !== null);
  const [newest] = unchanged
    .map(({ confirmedAt }) => confirmedAt)
    .toSorted()
    .reverse();
  if (newest !== undefined) {
    const ids = unchanged.map(({ record }) => record);
    await profiles.claims.confirm(window.connection, object, ids, newest);
    work.summary.known += ids.length;
  }
  if (work.arrivals !== undefined) countArrivals(work.arrivals, window, rows, new Set(unchanged));
  const bad: QuarantinedRow[] = [];
  const found: Observation[] = [];
  const skip = new Set(unchanged);
  if (window.fields !== undefined) for (const row of await strangers(work, rows, known)) skip.add(row);
  for (const row of rows) {
    if (skip.has(row)) continue;
    const one = observe(work, row, bad);
    if (one !== null) found.push(one);
  }
  if (bad.length > 0 && work.setAside !== undefined) work.setAside(bad);
  else if (bad.length > 0 && work.quiet !== true) await setAsideEverywhere(work.dependencies, bad);
  work.summary.quarantined += bad.length;
  return found;
}

/** The lines of a copy that is away are missing there; the records themselves are not. */
async function setAsideEverywhere(dependencies: Dependencies, bad: QuarantinedRow[]): Promise<void> {
  const { lanes, warehouse } = dependencies;
  await lanes('warehouse', () => warehouse.setAside(bad));
  await tryEachCopy(dependencies, 'lines of the quarantine', (copy) =>
    copy.lanes('warehouse', () => copy.warehouse.setAside(bad)),
  );
}

/** A few fields make no record: what fits no schema, or was never read whole, is not made of them. */
async function strangers(
  { profiles, mapping, window }: Work,
  rows: ShapedRow[],
  known: (string | null)[],
): Promise<ShapedRow[]> {
  const unsure = rows.filter((_, at) => known[at] === null);
  const found: ShapedRow[] = [];
  for (const row of unsure) {
    const ref = { source: window.connection, object: mapping.object, record: row.record };
    if ((await profiles.claims.profileOf(ref)) === null) found.push(row);
  }
  return found;
}

export function rowHash(row: ShapedRow, mapping: CompiledMapping): string {
  return `${row.hash ?? ''}.${mapping.hash}`;
}

function observe(
  { window, mapping, batch }: Work,
  row: ShapedRow,
  bad: QuarantinedRow[],
): Observation | null {
  const { connection } = window;
  const base = {
    entity: mapping.entity.name,
    ref: { source: connection, object: mapping.object, record: row.record },
    stamp: row.version ?? row.confirmedAt,
    version: '',
    confirmedAt: row.confirmedAt,
    ...(row.hash === null || window.fields !== undefined ? {} : { rowHash: rowHash(row, mapping) }),
  };
  const gone = { deleted: true, fields: {}, identifiers: [] };
  if (row.hash === null) return { ...base, ...gone };
  const mapped = mapping.map(row.values());
  if (row.deleted) {
    const mergedInto = mapped.ok ? mapped.mergedInto : undefined;
    return { ...base, ...gone, ...(mergedInto === undefined ? {} : { mergedInto }) };
  }
  if (!mapped.ok) {
    const { field, reason } = mapped;
    const about = `${mapping.entity.name}.${field} ${reason}`;
    bad.push({
      batch: batch.id,
      window: window.id,
      connection,
      object: window.object,
      record: row.record,
      field,
      reason: about,
    });
    return null;
  }
  const { fields, identifiers, mergedInto, mergedFrom } = mapped;
  return {
    ...base,
    deleted: false,
    fields,
    identifiers,
    ...(mergedInto === undefined ? {} : { mergedInto }),
    ...(mergedFrom === undefined ? {} : { mergedFrom }),
  };
}

async function apply({ profiles, summary, cause }: Work, part: Observation[]): Promise<void> {
  if (part.length === 0) return;
  // The observations themselves are idempotent, so a part needs no id of its own.
  const receipt = await profiles.claims.apply({ id: null, observations: part, cause });
  failpoint('reconcile:applied');
  add(summary, receipt);
}

function profilesIn({ created, changed, merged }: GoldenSummary): number {
  return created + changed + merged;
}

function add(summary: GoldenSummary, receipt: ApplyReceipt): void {
  summary.observed += receipt.observed;
  summary.known += receipt.known;
  summary.suppressed += receipt.suppressed;
  summary.created += receipt.created;
  summary.changed += receipt.changed;
  summary.merged += receipt.merged;
  summary.reviews += receipt.reviews;
}
