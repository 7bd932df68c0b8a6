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
import { integer, json, jsonOrNull, type LedgerDatabase, type Row, text, textOrNull } from './database.ts';

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
export function findWindow(db: LedgerDatabase, id: string): StoredWindow {
  const row = db.get('SELECT * FROM windows WHERE id = ?', id);
  if (row === undefined) throw new HeadwaterError('INTERNAL', `the ledger knows no window ${id}`);
  return toStored(row);
}

/** I3: a worker that was taken for dead and comes back carries a lower attempt; it must not write. */
export function requireAttempt(db: LedgerDatabase, id: string, attempt: number): StoredWindow {
  const window = findWindow(db, id);
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

export function slicesOf(db: LedgerDatabase, seq: number): Slice[] {
  return db
    .all('SELECT plan FROM slices WHERE window_seq = ? ORDER BY slice', seq)
    .map((row) => json(sliceSchema, text(row, 'plan')));
}

export function withSlices(db: LedgerDatabase, { seq, ...window }: StoredWindow): Window {
  return { ...window, slices: slicesOf(db, seq) };
}

/** Unproven windows of one object, in the order of creation; their slices are not read. */
export function openOf(db: LedgerDatabase, connection: string, object: string): StoredWindow[] {
  return db
    .all(
      "SELECT * FROM windows WHERE connection = ? AND object = ? AND state = 'open' ORDER BY seq",
      connection,
      object,
    )
    .map(toStored);
}

export function openWindows(db: LedgerDatabase, connection: string): Window[] {
  return db
    .all(
      "SELECT * FROM windows WHERE connection = ? AND state = 'open' ORDER BY object, seq LIMIT ?",
      connection,
      WINDOWS_MAX,
    )
    .map((row) => withSlices(db, toStored(row)));
}

export function listWindows(
  db: LedgerDatabase,
  filter: { connection?: string; object?: string; limit: number },
): (Window & { receipt: Receipt | null })[] {
  const { connection = null, object = null } = filter;
  return db
    .all(
      `SELECT * FROM windows
       WHERE (?1 IS NULL OR connection = ?1) AND (?2 IS NULL OR object = ?2) ORDER BY seq DESC LIMIT ?3`,
      connection,
      object,
      Math.min(filter.limit, WINDOWS_MAX),
    )
    .map((row) => ({
      ...withSlices(db, toStored(row)),
      receipt: jsonOrNull(receiptSchema, textOrNull(row, 'receipt')),
    }));
}

/**
 * Staged and not landed. A window that was read again later by one that has landed is left out: the later reading holds
 * everything that is still true of it, and its own files may be gone. A partial one does not hold everything.
 */
export function undelivered(db: LedgerDatabase, sink: string, connection: string): Window[] {
  return db
    .all(
      `SELECT * FROM windows AS w
       WHERE connection = ?1 AND state = 'staged'
         AND NOT EXISTS (SELECT 1 FROM landed WHERE window_seq = w.seq AND sink = ?2)
         AND NOT EXISTS (
           SELECT 1 FROM windows AS later JOIN landed ON landed.window_seq = later.seq AND landed.sink = ?2
           WHERE later.fields IS NULL AND later.connection = w.connection AND later.object = w.object AND later.seq > w.seq
             AND later.from_at <= w.from_at AND later.until_at >= w.until_at)
       ORDER BY seq LIMIT ?3`,
      connection,
      sink,
      WINDOWS_MAX,
    )
    .map((row) => withSlices(db, toStored(row)));
}
