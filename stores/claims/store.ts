import { setImmediate as turn } from 'node:timers/promises';
import { HeadwaterError } from '../../rules/errors.ts';
import { compileRules, type CompiledRules, type CustomRule } from '../../rules/golden/resolve.ts';
import type { LinkGuards } from '../../rules/identity/guards.ts';
import { conflictRulesSchema, type ConflictRules } from '../../schemas/conflicts.ts';
import type { Entity } from '../../schemas/entities/entity.ts';
import type { Instant } from '../../schemas/instant.ts';
import type { SinkState } from '../../schemas/sink.ts';
import type { ApplyReceipt, Cause, Claims, ObservationBatch, Verification } from './claims.ts';
import { Ahead, type Batch } from './ahead/ahead.ts';
import { applyObservations, NOTHING_APPLIED } from './engine/apply.ts';
import type { Writes } from './engine/draft.ts';
import { ask, type Program } from './engine/program.ts';
import { referenceFields } from './engine/references.ts';
import { firstRules } from './engine/rule-change.ts';
import type { Context } from './engine/world.ts';
import { changeMethods } from './methods/changes.ts';
import { commandMethods } from './methods/commands.ts';
import { readMethods } from './methods/reads.ts';
import { servingMethods } from './methods/serving.ts';
import { Salts, type Vault } from './vault.ts';

/** What a database must do for the engine: SQLite and Postgres each fill this, and nothing else differs between them. */
export interface Backend {
  /**
   * How long transactions of bulk work shall take: the limit for whoever waits is 20 ms, with a transaction of its own. While
   * single records come, and for a while after, they are shorter; the fewer there are, the less is written twice.
   */
  readonly transactionMs: { alone: number; shared: number };
  /**
   * One transaction: runs the program and writes what it decided, all or nothing; runs it anew when another writer was faster.
   * `durable: false`: a later durable transaction of this store makes it safe, and until then a power loss may take it back.
   */
  change<T>(
    program: () => Program<{ writes: Writes; result: T }>,
    options: {
      durable: boolean;
      /** Work of the caller's own that a back end may call, once or never, while its database is busy writing. */
      meanwhile?: () => void;
    },
  ): Promise<T>;
  /** One consistent state; writes nothing. */
  look<T>(program: () => Program<T>): Promise<T>;
  /** How often commits that were not durable yet may have been taken back while this process went on. */
  takenBack(): number;
  moveCursor(consumer: string, position: number): Promise<void>;
  /** Looks at the next rows of the outbox, see `Claims.prune`. `last`: where it ended; null when no row was left. */
  pruneOutbox(after: number, rows: number): Promise<{ last: number | null; removed: number }>;
  sinkState(): Promise<SinkState>;
  /** Durable, with all that was written before; the same window again changes nothing. */
  closeWindow(window: string, batches: readonly string[]): Promise<SinkState>;
  /** Nothing that was overwritten or deleted can be read from the files any more. */
  scrub(): Promise<void>;
  verify(): Promise<Verification>;
  close(): Promise<void>;
}

export interface ClaimsOptions {
  rules: ReadonlyMap<string, ConflictRules>;
  custom?: ReadonlyMap<string, CustomRule>;
  guards?: LinkGuards;
  /** Those of the configuration's own; the shared ones are known. */
  entities?: readonly Entity[];
  /** The clock that `maxAge` and reads go by; system time is the cause's. */
  now: () => Instant;
}

const SHARED_FOR_MS = 5_000;
/** Fewer rows are no bulk work. */
const BULK_ROWS_MIN = 200;
/** Below this a transaction costs more than its rows. */
const ROWS_MIN = 150;
const ROWS_MAX = 2_000;
const ROWS_PER_MS_FIRST = 20;
const PACE = 0.2;

/** Everything shared by the methods of one opened store. */
export interface Store {
  backend: Backend;
  context: Context;
  custom: ReadonlyMap<string, CustomRule>;
  ahead: Ahead;
}

export async function claimsOn(backend: Backend, vault: Vault, options: ClaimsOptions): Promise<Claims> {
  vault.bindTo((await backend.sinkState()).epoch);
  const custom = options.custom ?? new Map<string, CustomRule>();
  const compiled = new Map<string, CompiledRules>();
  const context: Context = {
    vault,
    guards: options.guards ?? {},
    references: referenceFields(options.entities ?? []),
    salts: new Salts(),
    compiled,
    compile(entity, row) {
      const key = `${entity} ${row?.hash ?? ''}`;
      let found = compiled.get(key);
      if (found === undefined) {
        found = compileRules(row?.rules ?? conflictRulesSchema.parse({ profile: entity }), custom);
        compiled.set(key, found);
      }
      return found;
    },
    nowMs: () => Date.parse(options.now()),
  };
  const store: Store = { backend, context, custom, ahead: new Ahead(context) };
  await storeFirstRules(store, options);
  return {
    ...applyMethods(store),
    ...readMethods(store),
    ...commandMethods(store),
    ...changeMethods(store),
    ...servingMethods(store),
  };
}

async function storeFirstRules({ backend, context }: Store, { rules, now }: ClaimsOptions): Promise<void> {
  const cause: Cause = { via: 'operator', run: null, actor: null, reason: 'first rules', at: now() };
  for (const one of rules.values()) {
    const known = await backend.look(() => ask((reads) => reads.rules(one.profile)));
    if (known === null) await backend.change(() => firstRules(context, one, cause), { durable: true });
  }
}

function applyMethods(store: Store): Pick<Claims, 'apply'> {
  const { backend, ahead } = store;
  let rowsPerMs = ROWS_PER_MS_FIRST;
  let sharedMs = -Infinity;
  const rowsWithin = () => {
    const isShared = performance.now() - sharedMs < SHARED_FOR_MS;
    const { alone, shared } = backend.transactionMs;
    const rows = Math.round(rowsPerMs * (isShared ? shared : alone));
    return Math.min(ROWS_MAX, Math.max(ROWS_MIN, rows));
  };
  return {
    apply: async (batch) => {
      const { id } = batch;
      if (batch.observations.length < BULK_ROWS_MIN) sharedMs = performance.now();
      if (id !== null) {
        const known = await backend.look(() => ask((reads) => reads.applied(id)));
        if (known !== null) return { ...known, alreadyApplied: true };
      }
      const total = { ...NOTHING_APPLIED };
      let causeNumber: number | null = null;
      const sound = backend.takenBack();
      const rows = ahead.batch(batch.observations);
      for (;;) {
        const rowsMax = rowsWithin();
        const part = { rows, rowsMax, sound };
        const { done, tookMs, isLast, number } = await applyPart(store, batch, part, causeNumber, total);
        causeNumber = number;
        // By the last transactions together: one that met a busy disk or machine says little about the next.
        if (done === rowsMax) rowsPerMs += (done / Math.max(tookMs, 0.1) - rowsPerMs) * PACE;
        if (isLast) break;
        await turn();
      }
      return total;
    },
  };
}

/** Adds its counts to `total` once they are written. The number of the batch's cause, once it has one. */
async function applyPart(
  { backend, context }: Store,
  { id, cause }: ObservationBatch,
  { rows, rowsMax, sound }: { rows: Batch; rowsMax: number; sound: number },
  causeNumber: number | null,
  total: ApplyReceipt,
): Promise<{ done: number; tookMs: number; isLast: boolean; number: number | null }> {
  const prepared = await rows.take(rowsMax);
  const isLast = rows.isEmpty;
  function* program() {
    requireSound(backend, sound);
    const { writes, receipt } = yield* applyObservations(prepared, cause, causeNumber, context);
    if (isLast && id !== null) {
      writes.applied = { batch: id, receipt: sum(total, receipt) };
      writes.empty = false;
    }
    return { writes, result: { receipt, written: writes.empty ? null : cause, number: writes.head.cause } };
  }
  const started = performance.now();
  const meanwhile = () => rows.askOn();
  const { receipt, written, number } = await backend.change(program, { durable: isLast, meanwhile });
  const tookMs = performance.now() - started;
  Object.assign(total, sum(total, receipt));
  const numbered = written === null ? causeNumber : (causeNumber ?? number);
  return { done: prepared.length, tookMs, isLast, number: numbered };
}

/** I2: what a crash of the database took from the earlier transactions of a series must not be acknowledged by its last. */
export function requireSound(backend: Backend, takenBack: number): void {
  if (backend.takenBack() === takenBack) return;
  throw new HeadwaterError(
    'LEDGER_UNAVAILABLE',
    'the database was away in the middle of a batch; it is applied anew',
  );
}

function sum(left: ApplyReceipt, right: ApplyReceipt): ApplyReceipt {
  return {
    alreadyApplied: false,
    observed: left.observed + right.observed,
    known: left.known + right.known,
    suppressed: left.suppressed + right.suppressed,
    created: left.created + right.created,
    changed: left.changed + right.changed,
    merged: left.merged + right.merged,
    reviews: left.reviews + right.reviews,
  };
}

export function requireLimit(limit: number): number {
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new HeadwaterError('INPUT_INVALID', `a limit is a whole number above 0, not ${limit}`);
  }
  return limit;
}
