// Step 3, shape: casts the raw pages of a slice to typed Parquet, sets bad rows aside, counts what became of each row.
import { createHash } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { HeadwaterError, type ErrorCode } from '../rules/errors.ts';
import { transportGap } from '../rules/receipts.ts';
import { widen, type Misfit } from '../rules/widening.ts';
import type { Batch } from '../schemas/batch.ts';
import type { PageParts } from './page-parts.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import type { StagedPage } from '../schemas/page.ts';
import type { RawPageFile } from '../shaper/shaper.ts';
import type { WindowProgress } from '../stores/ledger/ledger.ts';
import type { ConnectionSettings, Dependencies } from './dependencies.ts';
import { sliceOf } from './extract.ts';
import { failpoint } from './failpoints.ts';
import { leaveOutErased } from './suppress.ts';

/** After these the same bytes would fail for ever: the slice is read again, by the next try or the next run. */
const READ_AGAIN: ReadonlySet<ErrorCode> = new Set([
  'RECEIPT_TRANSPORT',
  'STAGE_MISSING',
  'TOO_MANY_BAD_ROWS',
]);

/**
 * Shapes once: a batch whose files are still staged is used again. Pages that are gone, or hold other rows than the source
 * said, are worth nothing: the slice is read again by the next try.
 */
export async function shapeSlice(
  dependencies: Dependencies,
  settings: ConnectionSettings,
  progress: WindowProgress,
  slice: number,
  parts?: PageParts,
): Promise<Batch> {
  try {
    return await shapePages(dependencies, settings, progress, slice, parts);
  } catch (error) {
    const { id, attempt, state } = progress.window;
    const useless = error instanceof HeadwaterError && READ_AGAIN.has(error.code);
    if (useless && state === 'open') await dependencies.ledger.restartSlice(id, attempt, slice);
    throw error;
  }
}

async function shapePages(
  dependencies: Dependencies,
  settings: ConnectionSettings,
  progress: WindowProgress,
  slice: number,
  parts: PageParts | undefined,
): Promise<Batch> {
  const { ledger, stage, lanes } = dependencies;
  const present = sliceOf(progress, slice);
  if (present.batch !== null && (await stillStaged(dependencies, present.batch))) {
    if (present.batch.counts.suppressed > 0) await keepBatchOnly(dependencies, present.batch);
    return present.batch;
  }
  const { window, schema } = progress;
  if (!present.extracted)
    throw new HeadwaterError('INTERNAL', `slice ${slice} of ${window.id} is not extracted yet`);
  const signal = Context.current().cancellationSignal;
  const prefix = `${window.id}/${slice}`;
  const { pages, withParts, staged } = await pageFiles(dependencies, progress, present.pages, parts);
  const out = {
    rows: await stage.reserve(`${prefix}/rows`, 'parquet'),
    tombstones: await stage.reserve(`${prefix}/tombstones`, 'parquet'),
    quarantine: await stage.reserve(`${prefix}/quarantine`, 'parquet'),
  };
  const shapeAs = (as: ObjectSchema, findMisfits: boolean) =>
    lanes('shape', () =>
      dependencies.shaper.shape(
        {
          schema: as,
          pages: as === schema ? withParts : pages,
          jsonRecords: settings.capabilities.jsonRecords,
          window: { id: window.id, from: window.from, until: window.until },
          confirmedAt: progress.readAt,
          badShareMax: settings.badShareMax,
          badRowsMax: settings.badRowsMax,
          findMisfits,
          out,
        },
        signal,
      ),
    );
  let used = schema;
  let raw = await shapeAs(used, settings.policy.types === 'evolve');
  if (raw.misfits.length > 0) {
    used = await storeWider(dependencies, progress, raw.misfits);
    raw = await shapeAs(used, false);
  }
  const { shaped, found } = await leaveOutErased(dependencies, window, slice, used, raw);
  // I2: no row leaves this step without one of the five fates.
  const gap = transportGap(shaped.counts);
  if (gap !== undefined)
    throw new HeadwaterError('RECEIPT_TRANSPORT', `${window.object} slice ${slice}: ${gap}`);
  const adopted = async (path: string) => (await stage.adopt(path)).key;
  const adopt = async (path: string | null) => (path === null ? null : adopted(path));
  const batch: Batch = {
    id: batchId(window.id, slice, present.pages),
    window: window.id,
    slice,
    rows: await Promise.all(shaped.files.rows.map(async (path) => staged.get(path) ?? adopted(path))),
    tombstones: await adopt(shaped.files.tombstones),
    quarantine: await adopt(shaped.files.quarantine),
    counts: shaped.counts,
  };
  failpoint('shape:done');
  await ledger.storeBatch(window.id, window.attempt, slice, batch);
  if (found) await keepBatchOnly(dependencies, batch);
  return batch;
}

/** I5: pages that brought somebody who was erased do not stay behind the batch that leaves them out. */
async function keepBatchOnly({ stage }: Dependencies, batch: Batch): Promise<void> {
  const { window, slice, rows, tombstones, quarantine } = batch;
  const keys = [...rows, tombstones, quarantine].filter((key) => key !== null);
  await stage.keepOnly(`${window}/${slice}`, keys);
}

/** Local paths of the pages; those that were shaped while later ones arrived come with that part. */
async function pageFiles(
  { stage }: Dependencies,
  { schema, readAt }: WindowProgress,
  stagedPages: StagedPage[],
  parts: PageParts | undefined,
): Promise<{ pages: RawPageFile[]; withParts: RawPageFile[]; staged: Map<string, string> }> {
  const sameTerms = parts?.schemaHash === schema.hash && parts.readAt === readAt;
  const usable = sameTerms ? parts.byPage : undefined;
  const pages = await Promise.all(
    stagedPages.map(async ({ key, format, rowsSent }) => ({ path: await stage.path(key), format, rowsSent })),
  );
  const staged = new Map<string, string>();
  const withParts = await Promise.all(
    pages.map(async (page, at) => {
      const key = usable?.get(stagedPages[at]?.key ?? '');
      if (key === undefined) return page;
      const part = await stage.path(key);
      staged.set(part, key);
      return { ...page, part };
    }),
  );
  return { pages, withParts, staged };
}

/** The window goes on with types that hold what the source really has; the next describe keeps them. */
async function storeWider(
  dependencies: Dependencies,
  progress: WindowProgress,
  misfits: Misfit[],
): Promise<ObjectSchema> {
  const { window, countBefore, readAt } = progress;
  // Another slice may have widened meanwhile: what it needs is kept.
  const schema = widen((await dependencies.ledger.progress(window.id)).schema, misfits);
  const slices = progress.slices.map((one) => one.slice);
  await dependencies.ledger.storePlan(window.id, window.attempt, { schema, slices, countBefore, readAt });
  const whole =
    window.fields === undefined ? null : await dependencies.ledger.schema(window.connection, window.object);
  const stored = whole === null ? schema : widen(whole.schema, misfits);
  await dependencies.ledger.storeSchema(window.connection, stored, readAt);
  dependencies.log(
    'info',
    `${misfits.map(({ field }) => field).join(', ')}: values have more digits than described; widened`,
    {
      connection: window.connection,
      object: window.object,
    },
  );
  return schema;
}

/** The same content of the same slice always has the same id: a repeated load is a no-op (I2). */
export function batchId(window: string, slice: number, pages: StagedPage[]): string {
  const hash = createHash('sha256').update(`${window}\n${slice}\n`);
  for (const page of pages) hash.update(`${page.page} ${page.sha256}\n`);
  return `b_${hash.digest('hex').slice(0, 24)}`;
}

async function stillStaged(dependencies: Dependencies, batch: Batch): Promise<boolean> {
  for (const key of [...batch.rows, batch.tombstones, batch.quarantine]) {
    if (key !== null && !(await dependencies.stage.exists(key))) return false;
  }
  return true;
}
