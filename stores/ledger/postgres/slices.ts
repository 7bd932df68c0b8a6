import { HeadwaterError } from '../../../rules/errors.ts';
import { type Batch, batchSchema, type LoadReceipt, loadReceiptSchema } from '../../../schemas/batch.ts';
import type { Instant } from '../../../schemas/instant.ts';
import { type ObjectSchema, objectSchemaSchema } from '../../../schemas/object-schema.ts';
import type { Cursor, StagedPage } from '../../../schemas/page.ts';
import { receiptSchema } from '../../../schemas/receipt.ts';
import type { Slice } from '../../../schemas/window.ts';
import type { Transaction } from '../../postgres.ts';
import type { WindowProgress } from '../ledger.ts';
import { checkNotAbandoned, isRepeatedPage, toPage, toProgress } from '../window-row.ts';
import { integer, integerOrNull, json, jsonOrNull, text, textOrNull } from '../../row.ts';
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

export async function storePlan(
  tx: Transaction,
  id: string,
  attempt: number,
  plan: WindowPlan,
): Promise<void> {
  const seq = await requireOpen(tx, id, attempt);
  await keepSchema(tx, plan.schema);
  await tx.run(
    'UPDATE windows SET schema_hash = $1, count_before = $2, read_at = $3 WHERE seq = $4',
    plan.schema.hash,
    plan.countBefore,
    plan.readAt,
    seq,
  );
  const same = JSON.stringify(await slicesOf(tx, seq)) === JSON.stringify(plan.slices);
  if (same && plan.reset !== true) return;
  await tx.run('DELETE FROM loads WHERE window_seq = $1', seq);
  await tx.run('DELETE FROM slices WHERE window_seq = $1', seq);
  for (const slice of plan.slices) {
    await tx.run(
      'INSERT INTO slices (window_seq, slice, plan) VALUES ($1, $2, $3)',
      seq,
      slice.slice,
      JSON.stringify(slice),
    );
  }
}

export async function progress(tx: Transaction, id: string): Promise<WindowProgress> {
  const window = await findWindow(tx, id);
  const row = await tx.get(
    `SELECT body, count_before, read_at, receipt FROM windows JOIN object_schemas ON hash = schema_hash WHERE seq = $1`,
    window.seq,
  );
  if (row === undefined) throw new HeadwaterError('INTERNAL', `window ${id} has no stored plan yet`);
  const pages = Map.groupBy(
    (await tx.all('SELECT * FROM pages WHERE window_seq = $1 ORDER BY slice, page', window.seq)).map(toPage),
    (page) => page.slice,
  );
  const slices = (await tx.all('SELECT * FROM slices WHERE window_seq = $1 ORDER BY slice', window.seq)).map(
    (slice) => toProgress(slice, pages.get(integer(slice, 'slice')) ?? [], slice['extracted'] === true),
  );
  return {
    window: await withSlices(tx, window),
    schema: json(objectSchemaSchema, text(row, 'body')),
    readAt: text(row, 'read_at'),
    countBefore: integerOrNull(row, 'count_before'),
    slices,
    receipt: jsonOrNull(receiptSchema, textOrNull(row, 'receipt')),
  };
}

/** I2: page and cursor in one transaction; the page must be the next one. */
export async function commitPage(
  tx: Transaction,
  id: string,
  attempt: number,
  slice: number,
  page: StagedPage | null,
  cursor: Cursor,
): Promise<void> {
  const seq = await requireOpen(tx, id, attempt);
  await requireSlice(tx, id, seq, slice);
  if (page !== null && !(await insertPage(tx, id, seq, slice, page))) return;
  await tx.run(
    'UPDATE slices SET cursor = $1 WHERE window_seq = $2 AND slice = $3',
    JSON.stringify(cursor),
    seq,
    slice,
  );
}

/** False when the page was stored before: then the cursor may be further on already and must stay. */
async function insertPage(
  tx: Transaction,
  id: string,
  seq: number,
  slice: number,
  page: StagedPage,
): Promise<boolean> {
  const next = integer(
    (await tx.get(
      'SELECT coalesce(max(page), -1) + 1 AS next FROM pages WHERE window_seq = $1 AND slice = $2',
      seq,
      slice,
    )) ?? {},
    'next',
  );
  const isKept = page.page < next;
  const stored = isKept
    ? await tx.get(
        'SELECT sha256 FROM pages WHERE window_seq = $1 AND slice = $2 AND page = $3',
        seq,
        slice,
        page.page,
      )
    : undefined;
  if (isRepeatedPage(id, slice, page, next, stored?.['sha256'])) return false;
  await tx.run(
    `INSERT INTO pages (window_seq, slice, page, key, format, rows_sent, bytes, sha256, nul_bytes)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
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

export async function sliceExtracted(
  tx: Transaction,
  id: string,
  attempt: number,
  slice: number,
): Promise<void> {
  const seq = await requireOpen(tx, id, attempt);
  await requireSlice(tx, id, seq, slice);
  await tx.run('UPDATE slices SET extracted = true WHERE window_seq = $1 AND slice = $2', seq, slice);
}

export async function restartSlice(
  tx: Transaction,
  id: string,
  attempt: number,
  slice: number,
): Promise<void> {
  const seq = await requireOpen(tx, id, attempt);
  const batch = await requireSlice(tx, id, seq, slice);
  if (batch !== null) await dropLoads(tx, seq, batch.id);
  await tx.run('DELETE FROM pages WHERE window_seq = $1 AND slice = $2', seq, slice);
  await tx.run(
    'UPDATE slices SET cursor = NULL, extracted = false, batch = NULL WHERE window_seq = $1 AND slice = $2',
    seq,
    slice,
  );
}

/** An older batch of the slice counts in no receipt any more. */
export async function storeBatch(
  tx: Transaction,
  id: string,
  attempt: number,
  slice: number,
  batch: Batch,
): Promise<void> {
  const seq = await requireOpen(tx, id, attempt);
  const older = await requireSlice(tx, id, seq, slice);
  if (older !== null && older.id !== batch.id) await dropLoads(tx, seq, older.id);
  await tx.run(
    'UPDATE slices SET batch = $1 WHERE window_seq = $2 AND slice = $3',
    JSON.stringify(batch),
    seq,
    slice,
  );
}

async function dropLoads(tx: Transaction, seq: number, batch: string): Promise<void> {
  await tx.run('DELETE FROM loads WHERE window_seq = $1 AND batch = $2', seq, batch);
}

async function requireSlice(tx: Transaction, id: string, seq: number, slice: number): Promise<Batch | null> {
  const row = await tx.get('SELECT batch FROM slices WHERE window_seq = $1 AND slice = $2', seq, slice);
  if (row === undefined) throw new HeadwaterError('INTERNAL', `window ${id} has no slice ${slice}`);
  return jsonOrNull(batchSchema, textOrNull(row, 'batch'));
}

/** Allowed on staged windows too: a sink may land them later. The first receipt of a batch says what really changed. */
export async function storeLoad(
  tx: Transaction,
  sink: string,
  id: string,
  attempt: number,
  receipt: LoadReceipt,
): Promise<void> {
  const window = await requireAttempt(tx, id, attempt);
  checkNotAbandoned(window);
  await tx.run(
    `INSERT INTO loads (window_seq, sink, batch, receipt) VALUES ($1, $2, $3, $4)
     ON CONFLICT (window_seq, sink, batch) DO UPDATE SET receipt = excluded.receipt WHERE NOT $5::boolean`,
    window.seq,
    sink,
    receipt.batch,
    JSON.stringify(receipt),
    receipt.alreadyApplied,
  );
}

export async function loads(tx: Transaction, sink: string, id: string): Promise<LoadReceipt[]> {
  const { seq } = await findWindow(tx, id);
  return (
    await tx.all('SELECT receipt FROM loads WHERE window_seq = $1 AND sink = $2 ORDER BY batch', seq, sink)
  ).map((row) => json(loadReceiptSchema, text(row, 'receipt')));
}
