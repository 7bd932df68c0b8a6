// Step 3, shape, begun early: the pages of a slice are shaped one by one while later ones still arrive.
import { Context } from '@temporalio/activity';
import type { StagedPage } from '../schemas/page.ts';
import type { WindowProgress } from '../stores/ledger/ledger.ts';
import type { Dependencies } from './dependencies.ts';

/** Smaller pages are shaped together at the end: a file for each would cost more than it saves. */
const PAGE_ROWS_MIN = 50_000;
/** Parts of one slice; the pages after them are shaped together. */
const PARTS_MAX = 32;

/** What has been made of single pages, and under what: of use only to a shape under the same. */
export interface PageParts {
  schemaHash: string;
  readAt: string;
  /** Stage key of the part by the stage key of its page. */
  byPage: ReadonlyMap<string, string>;
}

export interface EarlyShape {
  /** Takes a page that is committed; returns at once. */
  add: (page: StagedPage) => void;
  /** Waits for the pages under way. */
  parts(): Promise<PageParts>;
  /** Ends what is under way; to be called whatever happened. */
  stop(): Promise<void>;
}

/**
 * Downloading waits on the network while shaping needs the cores. Nothing relies on it: a page without a part is shaped with
 * the slice, which also says what is the matter with it, and after a crash every page is.
 */
export function beginShape(dependencies: Dependencies, progress: WindowProgress): EarlyShape {
  const { shaper, stage, lanes } = dependencies;
  const { window, schema, readAt } = progress;
  const ended = new AbortController();
  const signal = AbortSignal.any([Context.current().cancellationSignal, ended.signal]);
  const byPage = new Map<string, string>();
  let taken = 0;
  let underWay: Promise<void> = Promise.resolve();
  const shapeOne = async (staged: StagedPage): Promise<void> => {
    if (signal.aborted) return;
    const out = await stage.reserve(`${window.id}/${staged.slice}/rows`, 'parquet');
    const page = { path: await stage.path(staged.key), format: staged.format, rowsSent: staged.rowsSent };
    const { id, from, until } = window;
    const request = { schema, window: { id, from, until }, confirmedAt: readAt, page, out };
    const whole = await lanes('shape', () => shaper.shapePage(request, signal));
    if (whole) byPage.set(staged.key, (await stage.adopt(out)).key);
  };
  return {
    add(page) {
      if (page.format !== 'csv' || page.rowsSent < PAGE_ROWS_MIN || taken >= PARTS_MAX) return;
      taken += 1;
      // Whatever went wrong goes wrong again, and is told, when the slice is shaped.
      underWay = underWay.then(() => shapeOne(page)).catch(() => undefined);
    },
    async parts() {
      await underWay;
      return { schemaHash: schema.hash, readAt, byPage };
    },
    async stop() {
      ended.abort();
      await underWay;
    },
  };
}
