import { HeadwaterError } from '../../../rules/errors.ts';
import { type Batch, batchSchema, type LoadReceipt, loadReceiptSchema } from '../../../schemas/batch.ts';
import type { Instant } from '../../../schemas/instant.ts';
import { type ObjectSchema, objectSchemaSchema } from '../../../schemas/object-schema.ts';
import type { Cursor, StagedPage } from '../../../schemas/page.ts';
import { receiptSchema } from '../../../schemas/receipt.ts';
import type { Slice } from '../../../schemas/window.ts';
import type { WindowProgress } from '../ledger.ts';
import { checkNotAbandoned, isRepeatedPage, toPage, toProgress } from '../window-row.ts';
import { integer, integerOrNull, json, jsonOrNull, text, textOrNull } from '../../row.ts';
import type { LedgerDatabase } from './database.ts';
import { keepSchema } from './runs.ts';
import { findWindow, requireAttempt, slicesOf, withSlices } from './window-rows.ts';
import { requireOpen } from './windows.ts';

export interface WindowPlan {
  schema: ObjectSchema;
  slices: Slice[];
  countBefore: number | null;
  readAt: Instant;
  reset?: boolean;
}

export function storePlan(db: LedgerDatabase, id: string, attempt: number, plan: WindowPlan): void {
  const seq = requireOpen(db, id, attempt);
  keepSchema(db, plan.schema);
  db.run(
    'UPDATE windows SET schema_hash = ?, count_before = ?, read_at = ? WHERE seq = ?',
    plan.schema.hash,
    plan.countBefore,
    plan.readAt,
    seq,
  );
  const same = JSON.stringify(slicesOf(db, seq)) === JSON.stringify(plan.slices);
  if (same && plan.reset !== true) return;
  db.run('DELETE FROM loads WHERE window_seq = ?', seq);
  db.run('DELETE FROM slices WHERE window_seq = ?', seq);
  for (const slice of plan.slices) {
    db.run(
      'INSERT INTO slices (window_seq, slice, plan) VALUES (?, ?, ?)',
      seq,
      slice.slice,
      JSON.stringify(slice),
    );
  }
}

export function progress(db: LedgerDatabase, id: string): WindowProgress {
  const window = findWindow(db, id);
  const row = db.get(
    `SELECT body, count_before, read_at, receipt FROM windows JOIN object_schemas ON hash = schema_hash WHERE seq = ?`,
    window.seq,
  );
  if (row === undefined) throw new HeadwaterError('INTERNAL', `window ${id} has no stored plan yet`);
  const pages = Map.groupBy(
    db.all('SELECT * FROM pages WHERE window_seq = ? ORDER BY slice, page', window.seq).map(toPage),
    (page) => page.slice,
  );
  const slices = db
    .all('SELECT * FROM slices WHERE window_seq = ? ORDER BY slice', window.seq)
    .map((slice) =>
      toProgress(slice, pages.get(integer(slice, 'slice')) ?? [], integer(slice, 'extracted') === 1),
    );
  return {
    window: withSlices(db, window),
    schema: json(objectSchemaSchema, text(row, 'body')),
    readAt: text(row, 'read_at'),
    countBefore: integerOrNull(row, 'count_before'),
    slices,
    receipt: jsonOrNull(receiptSchema, textOrNull(row, 'receipt')),
  };
}

/** I2: page and cursor in one transaction; the page must be the next one. */
export function commitPage(
  db: LedgerDatabase,
  id: string,
  attempt: number,
  slice: number,
  page: StagedPage | null,
  cursor: Cursor,
): void {
  const seq = requireOpen(db, id, attempt);
  requireSlice(db, id, seq, slice);
  if (page !== null && !insertPage(db, id, seq, slice, page)) return;
  db.run(
    'UPDATE slices SET cursor = ? WHERE window_seq = ? AND slice = ?',
    JSON.stringify(cursor),
    seq,
    slice,
  );
}

/** False when the page was stored before: then the cursor may be further on already and must stay. */
function insertPage(db: LedgerDatabase, id: string, seq: number, slice: number, page: StagedPage): boolean {
  const next = integer(
    db.get(
      'SELECT coalesce(max(page), -1) + 1 AS next FROM pages WHERE window_seq = ? AND slice = ?',
      seq,
      slice,
    ) ?? {},
    'next',
  );
  const isKept = page.page < next;
  const stored = isKept
    ? db.get(
        'SELECT sha256 FROM pages WHERE window_seq = ? AND slice = ? AND page = ?',
        seq,
        slice,
        page.page,
      )
    : undefined;
  if (isRepeatedPage(id, slice, page, next, stored?.['sha256'])) return false;
  db.run(
    `INSERT INTO pages (window_seq, slice, page, key, format, rows_sent, bytes, sha256, nul_bytes)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    seq,
    slice,
    page.page,
    page.key,
    page.format,
    page.rowsSent,
    page.bytes,
    page.sha256,
    page.nulBytes,
  );
  return true;
}

export function sliceExtracted(db: LedgerDatabase, id: string, attempt: number, slice: number): void {
  const seq = requireOpen(db, id, attempt);
  requireSlice(db, id, seq, slice);
  db.run('UPDATE slices SET extracted = 1 WHERE window_seq = ? AND slice = ?', seq, slice);
}

export function restartSlice(db: LedgerDatabase, id: string, attempt: number, slice: number): void {
  const seq = requireOpen(db, id, attempt);
  const batch = requireSlice(db, id, seq, slice);
  if (batch !== null) dropLoads(db, seq, batch.id);
  db.run('DELETE FROM pages WHERE window_seq = ? AND slice = ?', seq, slice);
  db.run(
    'UPDATE slices SET cursor = NULL, extracted = 0, batch = NULL WHERE window_seq = ? AND slice = ?',
    seq,
    slice,
  );
}

/** An older batch of the slice counts in no receipt any more. */
export function storeBatch(
  db: LedgerDatabase,
  id: string,
  attempt: number,
  slice: number,
  batch: Batch,
): void {
  const seq = requireOpen(db, id, attempt);
  const older = requireSlice(db, id, seq, slice);
  if (older !== null && older.id !== batch.id) dropLoads(db, seq, older.id);
  db.run('UPDATE slices SET batch = ? WHERE window_seq = ? AND slice = ?', JSON.stringify(batch), seq, slice);
}

function dropLoads(db: LedgerDatabase, seq: number, batch: string): void {
  db.run('DELETE FROM loads WHERE window_seq = ? AND batch = ?', seq, batch);
}

function requireSlice(db: LedgerDatabase, id: string, seq: number, slice: number): Batch | null {
  const row = db.get('SELECT batch FROM slices WHERE window_seq = ? AND slice = ?', seq, slice);
  if (row === undefined) throw new HeadwaterError('INTERNAL', `window ${id} has no slice ${slice}`);
  return jsonOrNull(batchSchema, textOrNull(row, 'batch'));
}

/** Allowed on staged windows too: a sink may land them later. The first receipt of a batch says what really changed. */
export function storeLoad(
  db: LedgerDatabase,
  sink: string,
  id: string,
  attempt: number,
  receipt: LoadReceipt,
): void {
  const window = requireAttempt(db, id, attempt);
  checkNotAbandoned(window);
  db.run(
    `INSERT INTO loads (window_seq, sink, batch, receipt) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT DO UPDATE SET receipt = excluded.receipt WHERE NOT ?5`,
    window.seq,
    sink,
    receipt.batch,
    JSON.stringify(receipt),
    receipt.alreadyApplied ? 1 : 0,
  );
}

export function loads(db: LedgerDatabase, sink: string, id: string): LoadReceipt[] {
  const { seq } = findWindow(db, id);
  return db
    .all('SELECT receipt FROM loads WHERE window_seq = ? AND sink = ? ORDER BY batch', seq, sink)
    .map((row) => json(loadReceiptSchema, text(row, 'receipt')));
}
