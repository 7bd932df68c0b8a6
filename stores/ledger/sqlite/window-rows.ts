import { type Receipt, receiptSchema } from '../../../schemas/receipt.ts';
import { type Slice, sliceSchema, type Window } from '../../../schemas/window.ts';
import { json, jsonOrNull, text, textOrNull } from '../../row.ts';
import { checkAttempt, storedWindow, type StoredWindow, toStored, WINDOWS_MAX } from '../window-row.ts';
import type { LedgerDatabase } from './database.ts';

/** INTERNAL for a window that this ledger does not know. */
export function findWindow(db: LedgerDatabase, id: string): StoredWindow {
  return storedWindow(id, db.get('SELECT * FROM windows WHERE id = ?', id));
}

/** I3: see `checkAttempt`. */
export function requireAttempt(db: LedgerDatabase, id: string, attempt: number): StoredWindow {
  const window = findWindow(db, id);
  checkAttempt(window, attempt);
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
