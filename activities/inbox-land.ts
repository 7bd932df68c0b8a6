// Part of inbox: what is in the claims reaches the warehouse in micro-batches, and only then are its events settled.
import { createHash } from 'node:crypto';
import { HeadwaterError } from '../rules/errors.ts';
import { addCounts, NO_ROWS } from '../rules/receipts.ts';
import type { Batch } from '../schemas/batch.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { ShapeResult } from '../shaper/shaper.ts';
import { BY_ID_WINDOW, type LoadRequest, type QuarantinedRow } from '../warehouses/warehouse.ts';
import type { ReadRecords } from './audit-records.ts';
import { connectionSettings } from './connections.ts';
import { onEachCopy, tryEachCopy } from './copies.ts';
import type { Dependencies } from './dependencies.ts';
import { failpoint } from './failpoints.ts';
import { beside, fastLaneOf, type Claimed } from './inbox-claim.ts';
import { leaveOutErased } from './suppress.ts';

/** Files that are joined by one statement. */
const JOINED_MAX = 256;
/** After as many tries the events are parked with the warehouse's code. */
const TRIES_MAX = 5;
const RETRY_MS = 5_000;
/** A further warehouse that takes longer gets these changes with the next window: the next landing does not wait for it. */
const COPY_MS_MAX = 10_000;
/** It is passed by for so long then, and one that is away too. */
const COPY_REST_MS = 60_000;

/** Of one object and one description of it: shaped, in the claims, not in the warehouse. */
interface Kept {
  object: string;
  schema: ObjectSchema;
  read: ReadRecords[];
  aside: QuarantinedRow[];
  positions: number[];
  tries: number;
}

export interface Landed {
  records: number;
  parked: number;
}

/**
 * Dying with something kept loses nothing: its events still wait, so the next worker reads these records again, which changes
 * no claim, and lands them.
 */
export class Landing {
  readonly #dependencies: Dependencies;
  readonly #connection: string;
  readonly #settled: (positions: readonly number[]) => void;
  #kept = new Map<string, Kept>();
  #dueMs = Infinity;
  #running: Promise<void> | undefined;
  readonly landed: Landed = { records: 0, parked: 0 };

  /** `settled` hears of positions that are dealt with. */
  constructor(
    dependencies: Dependencies,
    connection: string,
    settled: (positions: readonly number[]) => void,
  ) {
    this.#dependencies = dependencies;
    this.#connection = connection;
    this.#settled = settled;
  }

  get isEmpty(): boolean {
    return this.#kept.size === 0 && this.#running === undefined;
  }

  /** The positions of what was read; there is at least one reading. */
  keep(claimed: Claimed, positions: readonly number[]): void {
    for (const [at, read] of claimed.read.entries()) {
      const { schema } = read.request;
      const key = `${schema.object} ${schema.hash}`;
      const { object } = schema;
      const kept = this.#kept.get(key) ?? { object, schema, read: [], aside: [], positions: [], tries: 0 };
      kept.read.push(read);
      if (at === 0) {
        kept.positions.push(...positions);
        kept.aside.push(...claimed.aside);
      }
      this.#kept.set(key, kept);
    }
    const { landEveryMs = 0 } = connectionSettings(this.#dependencies, this.#connection).webhooks ?? {};
    this.#dueMs = Math.min(this.#dueMs, this.#dependencies.now() + landEveryMs);
  }

  /** Begins to land what is due, one landing at a time; returns at once. */
  tick(nowMs: number, signal: AbortSignal): void {
    if (nowMs < this.#dueMs || this.#running !== undefined) return;
    this.#begin(signal);
  }

  /** Everything at once; resolves when it has landed, failed or `msMax` are over. */
  async flush(msMax: number, signal: AbortSignal): Promise<void> {
    if (this.#running === undefined && this.#kept.size > 0) this.#begin(signal);
    await settledWithin(this.#running, msMax);
  }

  #begin(signal: AbortSignal): void {
    const batch = [...this.#kept.values()];
    this.#kept = new Map();
    this.#dueMs = Infinity;
    this.#running = this.#landAll(batch, signal).finally(() => (this.#running = undefined));
  }

  /** Never rejects: what does not land is tried again, and at last parked. */
  async #landAll(batch: readonly Kept[], signal: AbortSignal): Promise<void> {
    const { inbox } = fastLaneOf(this.#dependencies);
    for (const kept of batch) {
      try {
        this.landed.records += await land(this.#dependencies, this.#connection, kept, signal);
        await inbox.settle(this.#connection, kept.positions);
        this.#settled(kept.positions);
      } catch (error) {
        if (signal.aborted) return;
        await this.#failed(kept, error instanceof HeadwaterError ? error.code : 'INTERNAL').catch(() =>
          this.#back(kept),
        );
      }
    }
  }

  async #failed(kept: Kept, code: string): Promise<void> {
    const { log } = this.#dependencies;
    const about = { connection: this.#connection, object: kept.object, code, events: kept.positions.length };
    kept.tries += 1;
    if (kept.tries < TRIES_MAX || isAway(code)) {
      log('warn', 'pushed changes did not land; they are tried again', about);
      this.#back(kept);
      return;
    }
    const { inbox } = fastLaneOf(this.#dependencies);
    this.landed.parked += await inbox.fail(this.#connection, kept.positions, code, 1);
    this.#settled(kept.positions);
    await removeReads(this.#dependencies, kept.read);
    log('warn', 'pushed changes do not fit the warehouse; their events are parked', about);
  }

  #back(kept: Kept): void {
    const key = `${kept.object} ${kept.schema.hash}`;
    const newer = this.#kept.get(key);
    if (newer !== undefined) {
      kept.read.push(...newer.read);
      kept.positions.push(...newer.positions);
      kept.aside.push(...newer.aside);
    }
    this.#kept.set(key, kept);
    this.#dueMs = Math.min(this.#dueMs, this.#dependencies.now() + RETRY_MS);
  }
}

/** Codes after which waiting helps, for however long. */
function isAway(code: string): boolean {
  return code === 'WAREHOUSE_LOCKED' || code === 'WAREHOUSE_UNAVAILABLE' || code === 'INBOX_UNAVAILABLE';
}

export async function settledWithin(work: Promise<void> | undefined, msMax: number): Promise<void> {
  if (work === undefined) return;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, msMax)));
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
}

async function removeReads({ stage }: Dependencies, reads: readonly ReadRecords[]): Promise<void> {
  for (const { window } of reads) await stage.remove(window.id);
}

/** The number of records of the micro-batch. The same guards by version as any load (I1, I2). */
async function land(
  dependencies: Dependencies,
  connection: string,
  { schema, read, aside }: Kept,
  signal: AbortSignal,
): Promise<number> {
  const settings = connectionSettings(dependencies, connection);
  const direct = beside(dependencies);
  // What was set aside lands with its own batch: its lines name it.
  const whole = read.filter(isWhole);
  const made: ReadRecords[] = [];
  try {
    let joined = whole;
    // Each round leaves a 256th.
    while (joined.length > 1 || joined === whole) {
      const parts: ReadRecords[] = [];
      for (let at = 0; at < joined.length; at += JOINED_MAX) {
        parts.push(await join(direct, connection, schema, joined.slice(at, at + JOINED_MAX)));
        signal.throwIfAborted();
      }
      made.push(...parts);
      joined = parts;
    }
    const batches = [...joined, ...read.filter((one) => !isWhole(one))];
    const landIn = ({ lanes, warehouse }: Dependencies, stop = signal) =>
      lanes('warehouse', async () => {
        stop.throwIfAborted();
        await warehouse.migrate(connection, schema, settings.policy);
        for (const one of batches) await warehouse.load(await screened(direct, one), stop);
        failpoint('inbox:landed');
        if (aside.length > 0) await warehouse.setAside(aside);
      });
    // I2: what no poll brings again must be in every copy before its events are settled; the rest comes with the next window.
    const { pushOnly } = settings.capabilities;
    const inTime = AbortSignal.any([signal, AbortSignal.timeout(COPY_MS_MAX)]);
    const ends = await Promise.allSettled([
      landIn(dependencies),
      pushOnly === true
        ? onEachCopy(dependencies, (copy) => landIn(copy))
        : tryEachCopy(dependencies, 'pushed changes', (copy) => landIn(copy, inTime), {
            restMs: COPY_REST_MS,
          }),
    ]);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    await removeReads(dependencies, read);
    return batches.reduce((sum, { batch: { counts } }) => sum + counts.shaped + counts.tombstones, 0);
  } finally {
    await removeReads(dependencies, made);
  }
}

function isWhole({ batch }: ReadRecords): boolean {
  return batch.quarantine === null;
}

/** I5: whoever was erased since these records were read does not land; purging waits for the same lane. */
async function screened(direct: Dependencies, { window, request }: ReadRecords): Promise<LoadRequest> {
  const { schema, batch, files } = request;
  const whole: ShapeResult = { counts: batch.counts, files, misfits: [], ms: 0 };
  const { shaped } = await leaveOutErased(direct, window, 0, schema, whole);
  return { ...request, batch: { ...batch, counts: shaped.counts }, files: shaped.files };
}

/** One batch of a window of its own in which each record is once. */
async function join(
  direct: Dependencies,
  connection: string,
  schema: ObjectSchema,
  reads: readonly ReadRecords[],
): Promise<ReadRecords> {
  const [first] = reads;
  if (first === undefined) throw new HeadwaterError('INTERNAL', 'nothing is kept that could land');
  const { stage, shaper } = direct;
  const ids = reads.map(({ batch }) => batch.id).join('\n');
  const digest = createHash('sha256').update(`inbox\n${connection}\n${schema.object}\n${ids}`).digest('hex');
  const id = `${BY_ID_WINDOW}${digest.slice(0, 24)}`;
  const key = schema.fields.find(({ name }) => name === schema.key)?.column ?? schema.key;
  const counts = reads.reduce((sum, { batch }) => addCounts(sum, batch.counts), NO_ROWS);
  const joinFiles = async (name: string, files: string[], hashed: boolean) => {
    if (files.length === 0) return { key: null, path: null, rows: 0 };
    const out = await stage.reserve(`${id}/0/${name}`, 'parquet');
    const rows = await shaper.newest({ files, key, hashed, window: id, out });
    const staged = await stage.adopt(out);
    return { key: staged.key, path: await stage.path(staged.key), rows };
  };
  const given = reads.map(({ request }) => request.files);
  const rows = await joinFiles(
    'rows',
    given.flatMap((files) => files.rows),
    true,
  );
  const gone = await joinFiles(
    'tombstones',
    given.flatMap(({ tombstones }) => tombstones ?? []),
    false,
  );
  const superseded = counts.superseded + counts.shaped - rows.rows;
  const joined = { ...counts, superseded, shaped: rows.rows, tombstones: gone.rows };
  const batch: Batch = {
    ...{ id: `b_${digest.slice(24, 48)}`, window: id, slice: 0, counts: joined },
    ...{ rows: rows.key === null ? [] : [rows.key], tombstones: gone.key, quarantine: null },
  };
  const window = { ...first.window, id };
  const files = { rows: rows.path === null ? [] : [rows.path], tombstones: gone.path, quarantine: null };
  return { window, batch, request: { window, schema, batch, files }, readAt: first.readAt };
}
