// Step 2, extract: pages the source into the stage; a page and its cursor are committed together.
import { Context } from '@temporalio/activity';
import { HeadwaterError } from '../rules/errors.ts';
import type { Cursor, StagedPage } from '../schemas/page.ts';
import type { Source } from '../sources/source.ts';
import type { SliceProgress, WindowProgress } from '../stores/ledger/ledger.ts';
import type { Dependencies } from './dependencies.ts';
import { failpoint } from './failpoints.ts';

/** Pages of one slice; more is a source that never ends. */
const PAGES_PER_SLICE_MAX = 100_000;

/** A slice of rows that came late: it is read by id, not by stamp. */
export const LATE_API = 'late';

export interface Extracted {
  rows: number;
  bytes: number;
  pages: number;
}

/** The slice of a window's progress, or INTERNAL when the workflow asks for one that the plan never made. */
export function sliceOf(progress: WindowProgress, slice: number): SliceProgress {
  const found = progress.slices.find((candidate) => candidate.slice.slice === slice);
  if (found !== undefined) return found;
  throw new HeadwaterError('INTERNAL', `window ${progress.window.id} has no slice ${slice}`);
}

/**
 * Goes on after the last committed page (I2: replay from a committed cursor loses nothing). A lost job or pages that do not
 * add up start the slice again. Heartbeats tell pages and rows, never values. `onPage` is told each page once it is committed.
 */
export async function extractSlice(
  dependencies: Dependencies,
  source: Source,
  progress: WindowProgress,
  slice: number,
  onPage: (page: StagedPage) => void = () => undefined,
): Promise<Extracted> {
  const present = sliceOf(progress, slice);
  if (present.extracted) return sum(present.pages);
  const { window } = progress;
  await dependencies.stage.assertRoom(dependencies.freeBytesMin);
  try {
    return await dependencies.lanes('api', () => copyPages(dependencies, source, progress, present, onPage));
  } catch (error) {
    if (
      error instanceof HeadwaterError &&
      (error.code === 'JOB_LOST' || error.code === 'RECEIPT_TRANSPORT')
    ) {
      await dependencies.ledger.restartSlice(window.id, window.attempt, slice);
    }
    throw error;
  }
}

async function copyPages(
  dependencies: Dependencies,
  source: Source,
  progress: WindowProgress,
  present: SliceProgress,
  onPage: (page: StagedPage) => void,
): Promise<Extracted> {
  const { window, schema } = progress;
  const { slice } = present.slice;
  const context = Context.current();
  const signal = context.cancellationSignal;
  const pages = [...present.pages];
  let cursor: Cursor | null = present.cursor;
  const beat = (doing: string) =>
    context.heartbeat({ slice, pages: pages.length, rows: sum(pages).rows, doing });
  const request = { schema, from: window.from, readFrom: window.readFrom, until: window.until };
  const incoming =
    present.slice.api === LATE_API
      ? source.fetch(schema, lateIds(present.slice.request), signal)
      : source.extract(request, present.slice, { after: cursor ?? undefined, signal, onWait: beat });
  try {
    for await (const page of incoming) {
      signal.throwIfAborted();
      let staged: StagedPage | null = null;
      if (page.body !== undefined) {
        const extension = page.format === 'csv' ? 'csv' : page.format === 'json' ? 'json' : 'ndjson';
        const prefix = `${window.id}/${slice}/page-${pages.length}`;
        const file = await dependencies.stage.write(prefix, extension, withBeats(page.body, beat), {
          stripNul: true,
          signal,
        });
        staged = { ...file, slice, page: pages.length, format: page.format, rowsSent: page.rowsSent() };
        pages.push(staged);
        if (pages.length > PAGES_PER_SLICE_MAX)
          throw new HeadwaterError('SOURCE_PROTOCOL', 'the source never stops sending pages');
      }
      failpoint('extract:page');
      cursor = page.cursor();
      await dependencies.ledger.commitPage(window.id, window.attempt, slice, staged, cursor);
      failpoint('extract:committed');
      if (staged !== null) onPage(staged);
      beat('extract');
    }
  } catch (error) {
    if (signal.aborted && cursor !== null) await source.abandon(cursor);
    throw error;
  }
  await dependencies.ledger.sliceExtracted(window.id, window.attempt, slice);
  return sum(pages);
}

function lateIds(request: Record<string, unknown>): string[] {
  const { ids } = request;
  return Array.isArray(ids) ? ids.map(String) : [];
}

/** A page may take minutes to arrive: the step says that it lives, at most every two seconds. */
async function* withBeats(
  body: AsyncIterable<Uint8Array>,
  beat: (doing: string) => void,
): AsyncIterable<Uint8Array> {
  let lastMs = Date.now();
  for await (const chunk of body) {
    if (Date.now() - lastMs > 2_000) {
      lastMs = Date.now();
      beat('receiving');
    }
    yield chunk;
  }
}

function sum(pages: StagedPage[]): Extracted {
  return {
    rows: pages.reduce((rows, page) => rows + (page.format === 'tombstones' ? 0 : page.rowsSent), 0),
    bytes: pages.reduce((bytes, page) => bytes + page.bytes, 0),
    pages: pages.length,
  };
}
