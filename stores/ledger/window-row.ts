// Windows, slices and pages as both back ends keep them, and what may be done with them: the decisions that no database makes.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import { readFrom } from '../../rules/windows.ts';
import { batchSchema } from '../../schemas/batch.ts';
import { ORIGIN } from '../../schemas/instant.ts';
import { pageFormatSchema, type StagedPage } from '../../schemas/page.ts';
import {
  type Interval,
  sliceSchema,
  type Window,
  type WindowKind,
  windowKindSchema,
  windowStateSchema,
} from '../../schemas/window.ts';
import { integer, json, jsonOrNull, type Row, text, textOrNull } from '../row.ts';
import type { PlanRequest, SliceProgress } from './ledger.ts';

/** A window as the ledger keeps it, without its slices. `seq` is its place in the order of creation. */
export interface StoredWindow extends Omit<Window, 'slices'> {
  seq: number;
}

/** The most windows that one listing returns. */
export const WINDOWS_MAX = 10_000;

const fieldsSchema = z.array(z.string());
const cursorSchema = z.record(z.string(), z.unknown());

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
export function storedWindow(id: string, row: Row | undefined): StoredWindow {
  if (row === undefined) throw new HeadwaterError('INTERNAL', `the ledger knows no window ${id}`);
  return toStored(row);
}

/** The window that a plan opens; `seq` is its place. */
export function newWindow(request: PlanRequest, kind: WindowKind, bounds: Interval, seq: number): Window {
  const { connection, object, owner, now } = request;
  const { from, until } = bounds;
  return {
    id: windowId([connection, object, from, until, now, owner.workflowId, owner.runId, String(seq)]),
    connection,
    object,
    kind,
    from,
    until,
    readFrom: readFrom(from, request.lookbackMs),
    state: 'open',
    owner,
    attempt: 1,
    slices: [],
    createdAt: now,
    ...(request.fields === undefined ? {} : { fields: request.fields }),
  };
}

/** The parts are joined by a character that none of them can hold, so that different parts give different texts. */
function windowId(parts: string[]): string {
  return `w_${createHash('sha256').update(parts.join('\u0000')).digest('hex').slice(0, 20)}`;
}

/** I3: a worker that was taken for dead and comes back carries a lower attempt; it must not write. */
export function checkAttempt({ id, attempt: current }: StoredWindow, attempt: number): void {
  if (attempt < current) {
    throw new HeadwaterError(
      'ATTEMPT_OUTDATED',
      `window ${id} is at attempt ${current}, this step carries ${attempt}`,
      { details: { window: id, attempt, current } },
    );
  }
  if (attempt > current) {
    throw new HeadwaterError(
      'INTERNAL',
      `window ${id} never had attempt ${attempt}; this ledger may be an older copy`,
    );
  }
}

/** I3: two tries of one activity share an attempt; what one has proven the other must not change. */
export function checkOpen({ id, state }: StoredWindow): void {
  if (state !== 'open')
    throw new HeadwaterError(
      'ATTEMPT_OUTDATED',
      `window ${id} is ${state}; nothing more can be written to it`,
    );
}

export function checkNotAbandoned({ id, state }: StoredWindow): void {
  if (state === 'abandoned') throw new HeadwaterError('ATTEMPT_OUTDATED', `window ${id} was given up`);
}

/** I3: what is in the coverage stays there; giving it up would leave a hole under the checkpoint. */
export function checkMayGo({ id, state, kind, from, fields }: StoredWindow): void {
  const coveredBefore = fields !== undefined || (kind === 'past' && from === ORIGIN);
  if (state === 'staged' && !coveredBefore)
    throw new HeadwaterError(
      'INPUT_INVALID',
      `window ${id} is staged and in the coverage; it cannot be given up`,
    );
}

/** `extracted` is a boolean in one database and a number in the other. */
export function toProgress(row: Row, pages: StagedPage[], extracted: boolean): SliceProgress {
  return {
    slice: json(sliceSchema, text(row, 'plan')),
    cursor: jsonOrNull(cursorSchema, textOrNull(row, 'cursor')),
    pages,
    extracted,
    batch: jsonOrNull(batchSchema, textOrNull(row, 'batch')),
  };
}

export function toPage(row: Row): StagedPage {
  return {
    slice: integer(row, 'slice'),
    page: integer(row, 'page'),
    key: text(row, 'key'),
    format: pageFormatSchema.parse(row['format']),
    rowsSent: integer(row, 'rows_sent'),
    bytes: integer(row, 'bytes'),
    sha256: text(row, 'sha256'),
    nulBytes: integer(row, 'nul_bytes'),
  };
}

/** I2: the page must be the next one. True: it was stored before, and `storedSha` is that page's. */
export function isRepeatedPage(
  id: string,
  slice: number,
  page: StagedPage,
  next: number,
  storedSha: unknown,
): boolean {
  if (page.slice !== slice)
    throw new HeadwaterError('INTERNAL', `a page of slice ${page.slice} was given for slice ${slice}`);
  const at = `page ${page.page} of slice ${slice} of window ${id}`;
  if (page.page > next)
    throw new HeadwaterError('INTERNAL', `${at} would leave a gap: the next one is ${next}`);
  if (page.page === next) return false;
  if (storedSha === page.sha256) return true;
  throw new HeadwaterError(
    'ATTEMPT_OUTDATED',
    `${at} was stored with other content; another worker reads this slice`,
  );
}
