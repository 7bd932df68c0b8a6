import { z } from 'zod';
import { HeadwaterError } from '../../../rules/errors.ts';
import { type Receipt, receiptSchema } from '../../../schemas/receipt.ts';
import {
  type Slice,
  sliceSchema,
  type Window,
  windowKindSchema,
  windowStateSchema,
} from '../../../schemas/window.ts';
import type { Transaction } from '../../postgres.ts';
import { integer, json, jsonOrNull, type Row, text, textOrNull } from './row.ts';

/** A window as the ledger keeps it, without its slices. `seq` is its place in the order of creation. */
export interface StoredWindow extends Omit<Window, 'slices'> {
  seq: number;
}

const fieldsSchema = z.array(z.string());

/** The most windows that one listing returns. */
const WINDOWS_MAX = 10_000;

export function toStored(row: Row): StoredWindow {
  return {
    seq: integer(row, 'seq'),
    id: text(row, 'id'),
    connection: text(row, 'connection'),
    object: text(row, 'object'),
    kind: windowKindSchema.parse(row['kind']),
    from: text(row, 'from_at'),
    until: text(row, 'until_at'),
    readFrom: text(row, 'read_from'),
    state: windowStateSchema.parse(row['state']),
    owner: { workflowId: text(row, 'workflow_id'), runId: text(row, 'run_id') },
    attempt: integer(row, 'attempt'),
    createdAt: text(row, 'created_at'),
    ...(row['fields'] === null ? {} : { fields: json(fieldsSchema, text(row, 'fields')) }),
  };
}

/** INTERNAL for a window that this ledger does not know. */
export async function findWindow(tx: Transaction, id: string): Promise<StoredWindow> {
  const row = await tx.get('SELECT * FROM windows WHERE id = $1', id);
  if (row === undefined) throw new HeadwaterError('INTERNAL', `the ledger knows no window ${id}`);
  return toStored(row);
}

/** I3: a worker that was taken for dead and comes back carries a lower attempt; it must not write. */
export async function requireAttempt(tx: Transaction, id: string, attempt: number): Promise<StoredWindow> {
  const window = await findWindow(tx, id);
  if (attempt < window.attempt) {
    throw new HeadwaterError(
      'ATTEMPT_OUTDATED',
      `window ${id} is at attempt ${window.attempt}, this step carries ${attempt}`,
      {
        details: { window: id, attempt, current: window.attempt },
      },
    );
  }
  if (attempt > window.attempt) {
    throw new HeadwaterError(
      'INTERNAL',
      `window ${id} never had attempt ${attempt}; this ledger may be an older copy`,
    );
  }
  return window;
}

export async function slicesOf(tx: Transaction, seq: number): Promise<Slice[]> {
  return (await tx.all('SELECT plan FROM slices WHERE window_seq = $1 ORDER BY slice', seq)).map((row) =>
    json(sliceSchema, text(row, 'plan')),
  );
}

export async function withSlices(tx: Transaction, { seq, ...window }: StoredWindow): Promise<Window> {
  return { ...window, slices: await slicesOf(tx, seq) };
}

/** The same for many in one question. */
async function allWithSlices(tx: Transaction, rows: Row[]): Promise<Window[]> {
  const stored = rows.map(toStored);
  const plans = await tx.all(
    'SELECT window_seq, plan FROM slices WHERE window_seq = ANY ($1::bigint[]) ORDER BY window_seq, slice',
    stored.map(({ seq }) => seq),
  );
  const bySeq = Map.groupBy(plans, (row) => integer(row, 'window_seq'));
  return stored.map(({ seq, ...window }) => ({
    ...window,
    slices: (bySeq.get(seq) ?? []).map((row) => json(sliceSchema, text(row, 'plan'))),
  }));
}

/** Unproven windows of one object, in the order of creation; their slices are not read. */
export async function openOf(tx: Transaction, connection: string, object: string): Promise<StoredWindow[]> {
  return (
    await tx.all(
      "SELECT * FROM windows WHERE connection = $1 AND object = $2 AND state = 'open' ORDER BY seq",
      connection,
      object,
    )
  ).map(toStored);
}

export async function openWindows(tx: Transaction, connection: string): Promise<Window[]> {
  return await allWithSlices(
    tx,
    await tx.all(
      "SELECT * FROM windows WHERE connection = $1 AND state = 'open' ORDER BY object, seq LIMIT $2",
      connection,
      WINDOWS_MAX,
    ),
  );
}

export async function listWindows(
  tx: Transaction,
  filter: { connection?: string; object?: string; limit: number },
): Promise<(Window & { receipt: Receipt | null })[]> {
  const { connection = null, object = null } = filter;
  const rows = await tx.all(
    `SELECT * FROM windows
       WHERE ($1::text IS NULL OR connection = $1) AND ($2::text IS NULL OR object = $2) ORDER BY seq DESC LIMIT $3`,
    connection,
    object,
    Math.min(filter.limit, WINDOWS_MAX),
  );
  const windows = await allWithSlices(tx, rows);
  return windows.map((window, index) => ({
    ...window,
    receipt: jsonOrNull(receiptSchema, textOrNull(rows[index] ?? {}, 'receipt')),
  }));
}

/**
 * Staged and not landed. A window that was read again later by one that has landed is left out: the later reading holds
 * everything that is still true of it, and its own files may be gone. A partial one does not hold everything.
 */
export async function undelivered(tx: Transaction, sink: string, connection: string): Promise<Window[]> {
  return await allWithSlices(
    tx,
    await tx.all(
      `SELECT * FROM windows AS w
       WHERE connection = $1 AND state = 'staged'
         AND NOT EXISTS (SELECT 1 FROM landed WHERE window_seq = w.seq AND sink = $2)
         AND NOT EXISTS (
           SELECT 1 FROM windows AS later JOIN landed ON landed.window_seq = later.seq AND landed.sink = $2
           WHERE later.fields IS NULL AND later.connection = w.connection AND later.object = w.object AND later.seq > w.seq
             AND later.from_at <= w.from_at AND later.until_at >= w.until_at)
       ORDER BY seq LIMIT $3`,
      connection,
      sink,
      WINDOWS_MAX,
    ),
  );
}
