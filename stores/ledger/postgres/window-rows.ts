import { type Receipt, receiptSchema } from '../../../schemas/receipt.ts';
import { type Slice, sliceSchema, type Window } from '../../../schemas/window.ts';
import type { Transaction } from '../../postgres.ts';
import { integer, json, jsonOrNull, type Row, text, textOrNull } from '../../row.ts';
import { checkAttempt, storedWindow, type StoredWindow, toStored, WINDOWS_MAX } from '../window-row.ts';

/** INTERNAL for a window that this ledger does not know. */
export async function findWindow(tx: Transaction, id: string): Promise<StoredWindow> {
  return storedWindow(id, await tx.get('SELECT * FROM windows WHERE id = $1', id));
}

/** I3: see `checkAttempt`. */
export async function requireAttempt(tx: Transaction, id: string, attempt: number): Promise<StoredWindow> {
  const window = await findWindow(tx, id);
  checkAttempt(window, attempt);
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
