// Step 6, reconcile: maps the changed records of proven windows to the shared schemas and adds them as claims.
import { Context } from '@temporalio/activity';
import { compileMapping, type CompiledMapping } from '../mapping/compile.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { Batch } from '../schemas/batch.ts';
import type { Observation } from '../schemas/observation.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { GoldenSummary } from '../schemas/run.ts';
import type { Window } from '../schemas/window.ts';
import type { ShapedRow } from '../shaper/shaper.ts';
import type { ApplyReceipt, Cause, Claims } from '../stores/claims/claims.ts';
import type { QuarantinedRow } from '../warehouses/warehouse.ts';
import type { Dependencies, Profiles } from './dependencies.ts';
import { failpoint } from './failpoints.ts';

/** The name of the claims store among the sinks: its coverage is its own, so a bad rule never blocks raw landing. */
export const CLAIMS_SINK = 'claims';
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
  for (const window of await ledger.undelivered(CLAIMS_SINK, input.connection)) {
    // A partial window has a few fields of each record: taken for whole records they would null the others.
    const isWhole = window.fields === undefined;
    const batches = isWhole ? await reconcileWindow(dependencies, profiles, window, input, summary) : [];
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

/** I7: a store that was deleted, or an older copy of it, is noticed before anything is added. */
async function checkSink({ ledger }: Dependencies, claims: Claims): Promise<void> {
  const [known, real] = [await ledger.sinkState(CLAIMS_SINK), await claims.sinkState()];
  if (known === null || (known.epoch === real.epoch && known.seq <= real.seq)) return;
  throw new HeadwaterError(
    'SINK_REWOUND',
    `the claims store holds less than the ledger has noted (${known.seq} windows noted, ${real.seq} there)`,
  );
}

async function reconcileWindow(
  dependencies: Dependencies,
  profiles: Profiles,
  window: Window,
  input: ReconcileInput,
  summary: GoldenSummary,
): Promise<string[]> {
  const { schema, slices } = await dependencies.ledger.progress(window.id);
  const mappings = profiles
    .mappings(window.connection, window.object)
    .map((mapping) => compileMapping(mapping, window.connection, schema, profiles.phone));
  const batches = slices.flatMap(({ batch }) => (batch === null ? [] : [batch]));
  for (const mapping of mappings) {
    for (const batch of batches) {
      const lines = {
        dependencies,
        profiles,
        window,
        schema,
        mapping,
        batch,
        summary,
        cause: causeOf(dependencies, input),
      };
      await reconcileFiles(lines, batch.rows, true);
      await reconcileFiles(lines, batch.tombstones === null ? [] : [batch.tombstones], false);
    }
  }
  return batches.map(({ id }) => id);
}

function causeOf({ now }: Dependencies, input: ReconcileInput): Cause {
  const run = Context.current().info.workflowExecution?.workflowId ?? null;
  const at = new Date(now()).toISOString();
  return { via: input.backfill ? 'backfill' : 'poll', run, actor: null, reason: null, at };
}

interface Work {
  dependencies: Dependencies;
  profiles: Profiles;
  window: Window;
  schema: ObjectSchema;
  mapping: CompiledMapping;
  batch: Batch;
  summary: GoldenSummary;
  cause: Cause;
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
    part.push(...(await observations(work, rows, window)));
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
  const bad: QuarantinedRow[] = [];
  const found: Observation[] = [];
  const skip = new Set(unchanged);
  for (const row of rows) {
    if (skip.has(row)) continue;
    const one = observe(work, row, bad);
    if (one !== null) found.push(one);
  }
  if (bad.length > 0) {
    await work.dependencies.lanes('warehouse', () => work.dependencies.warehouse.setAside(bad));
    work.summary.quarantined += bad.length;
  }
  return found;
}

function rowHash(row: ShapedRow, mapping: CompiledMapping): string {
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

function add(summary: GoldenSummary, receipt: ApplyReceipt): void {
  summary.observed += receipt.observed;
  summary.known += receipt.known;
  summary.suppressed += receipt.suppressed;
  summary.created += receipt.created;
  summary.changed += receipt.changed;
  summary.merged += receipt.merged;
  summary.reviews += receipt.reviews;
}
