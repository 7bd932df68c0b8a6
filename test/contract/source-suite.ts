import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ORIGIN, type Instant } from '../../schemas/instant.ts';
import type { ObjectSchema } from '../../schemas/object-schema.ts';
import type { Cursor } from '../../schemas/page.ts';
import type { ExtractRequest, Source, SourceCapabilities } from '../../sources/source.ts';
import { readPages, type ReadPage } from './read-pages.ts';

export interface TruthRecord {
  id: string;
  stamp: Instant;
  deleted: boolean;
}

/** A source over a world that the suite may change; every record that `truth` gives is visible to the source at once. */
export interface SourceHarness {
  source: Source;
  capabilities: SourceCapabilities;
  /** Has a stamp and some hundred records, so few per page that a first load takes several. */
  object: string;
  /** The source's clock. */
  now: () => Instant;
  advance: (ms: number) => void;
  create: () => string;
  update: (id: string) => void;
  delete: (id: string) => void;
  undelete: (id: string) => void;
  /** Erases a deleted record for good. */
  purge: (id: string) => void;
  truth: () => Promise<TruthRecord[]>;
  close: () => Promise<void>;
}

const MINUTE_MS = 60_000;
const never = (): AbortSignal => new AbortController().signal;

/** What every source must do, whatever its system; the order of the tests matters, as the world lives on. */
export function sourceSuite(name: string, start: () => Promise<SourceHarness>): void {
  describe(name, () => {
    let world: SourceHarness;
    let schema: ObjectSchema;
    beforeAll(async () => {
      world = await start();
      schema = await world.source.describe(world.object);
    });
    afterAll(() => world.close());

    const within = async (from: Instant, until: Instant): Promise<TruthRecord[]> =>
      (await world.truth()).filter((record) => record.stamp >= from && record.stamp < until);

    /** A request for everything from `from` on, and a clock well past its end, so that nothing is in flight. */
    const request = (from: Instant): ExtractRequest => {
      const until = world.now();
      world.advance(10 * MINUTE_MS);
      return { schema, from, readFrom: from, until };
    };

    test('check passes', async () => {
      expect((await world.source.check()).filter((line) => !line.ok)).toEqual([]);
    });

    test('list has the object, and a reason for every one it cannot sync', async () => {
      const listing = await world.source.list();
      expect(listing.find((one) => one.object === world.object)).toMatchObject({ syncable: true });
      for (const one of listing) expect(one.syncable).toBe(one.reason === undefined);
    });

    test('describe names key, stamp and deleted flag among the fields, with unique columns', async () => {
      const names = schema.fields.map((field) => field.name);
      expect(names).toContain(schema.key);
      expect(names).toContain(schema.stamp);
      if (world.capabilities.softDeletes) expect(names).toContain(schema.deleted);
      const columns = schema.fields.map((field) => field.column);
      expect(new Set(columns).size).toBe(columns.length);
      for (const column of columns) expect(column).toMatch(/^[a-z][a-z0-9_]*$/);
      expect((await world.source.describe(world.object)).hash).toBe(schema.hash);
    });

    test('a first load holds every record once, in several pages with the announced counts', async () => {
      const loaded = await load(world, request(ORIGIN));
      const truth = await world.truth();
      expect(loaded.ids.toSorted()).toEqual(truth.map((record) => record.id).toSorted());
      expect(loaded.pages.filter((page) => page.rows !== undefined).length).toBeGreaterThan(2);
      expect(loaded.countBefore).toBe(truth.length);
    });

    test('resuming a slice from any of its cursors loses nothing', async () => {
      const whole = request(ORIGIN);
      const plan = await world.source.plan(whole);
      for (const slice of plan.slices) {
        const once = await load(world, whole, { only: slice.slice });
        for (let stop = 1; stop <= once.pages.length; stop++) {
          const first = await load(world, whole, { only: slice.slice, pagesMax: stop });
          const after = first.pages.at(-1)?.cursor;
          const rest = await load(world, whole, { only: slice.slice, after });
          expect(new Set([...first.ids, ...rest.ids])).toEqual(new Set(once.ids));
        }
      }
    });

    test('a quiet object is idle; created, updated and deleted records each end that', async () => {
      const probe = async (readFrom: Instant): Promise<boolean> => {
        world.advance(10 * MINUTE_MS);
        const until = world.now();
        const [answer] = await world.source.probe([{ object: world.object, readFrom, until }], never());
        expect(answer?.visibleUntil && answer.visibleUntil <= until).toBe(true);
        expect(answer && answer.visibleUntil > readFrom).toBe(true);
        return answer?.idle === true;
      };
      const ids = (await world.truth()).filter((record) => !record.deleted).map((record) => record.id);
      for (const change of [
        () => world.create(),
        () => world.update(at(ids, 3)),
        () => world.delete(at(ids, 4)),
      ]) {
        world.advance(2 * MINUTE_MS);
        const quiet = world.now();
        expect(await probe(quiet)).toBe(true);
        world.advance(2 * MINUTE_MS);
        const before = world.now();
        world.advance(2 * MINUTE_MS);
        change();
        world.advance(2 * MINUTE_MS);
        expect(await probe(before)).toBe(false);
      }
      expect(await probe(ORIGIN)).toBe(false);
    });

    test('a window holds exactly the changed records, with their deletes', async () => {
      world.advance(2 * MINUTE_MS);
      const from = world.now();
      world.advance(2 * MINUTE_MS);
      const live = (await world.truth()).filter((record) => !record.deleted).map((record) => record.id);
      const created = world.create();
      const [updated, deleted, erased, revived] = [at(live, 10), at(live, 11), at(live, 12), at(live, 13)];
      world.update(updated);
      world.delete(deleted);
      world.delete(erased);
      world.purge(erased);
      world.delete(revived);
      world.advance(MINUTE_MS);
      world.undelete(revived);
      world.advance(MINUTE_MS);
      const window = request(from);
      const expected = await within(from, window.until);
      const loaded = await load(world, window);
      expect(loaded.ids.toSorted()).toEqual(expected.map((record) => record.id).toSorted());
      expect(loaded.ids).toEqual(expect.arrayContaining([created, updated, deleted, revived]));
      expect(loaded.countBefore).toBe(expected.length);
      const flag = schema.deleted ?? '';
      expect(loaded.byId.get(deleted)?.[flag]).toBe('true');
      expect(loaded.byId.get(revived)?.[flag]).toBe('false');
      expect(loaded.tombstones).toContain(erased);
      expect(loaded.tombstones).not.toContain(revived);
      expect(await world.source.count(schema, { from, until: window.until })).toBe(expected.length);
    });

    test('stamps are those of the truth, ascending, deleted ones included', async () => {
      const until = world.now();
      const stamps = [];
      for await (const some of world.source.stamps(schema, { from: ORIGIN, until }, never()))
        stamps.push(...some);
      const byKey = (a: TruthRecord, b: TruthRecord): number =>
        compare(a.stamp, b.stamp) || compare(a.id, b.id);
      expect(stamps).toEqual((await within(ORIGIN, until)).toSorted(byKey));
    });

    test('fetch gives current versions of many ids and leaves the unknown ones out', async () => {
      const ids = (await world.truth()).slice(0, 450).map((record) => record.id);
      const seen: string[] = [];
      const pages = world.source.fetch(schema, [...ids, at(ids, 0).replace(/.$/, 'A'), at(ids, 0)], never());
      for await (const page of readPages(pages, world.capabilities.jsonRecords)) {
        expect(page.rows).toHaveLength(page.rowsSent);
        seen.push(...(page.rows ?? []).map((row) => row[schema.key] ?? ''));
      }
      expect(seen.toSorted()).toEqual(ids.toSorted());
    });

    test('a cancelled extract ends at once with the reason of the cancellation', async () => {
      const whole = request(ORIGIN);
      const [slice] = (await world.source.plan(whole)).slices;
      if (slice === undefined) throw new Error('no slice');
      const control = new AbortController();
      const reason = new Error('cancelled by the test');
      const context = { after: undefined, signal: control.signal, onWait: () => undefined };
      const run = async (): Promise<void> => {
        let page = 0;
        for await (const one of readPages(world.source.extract(whole, slice, context))) {
          if (++page === 1) control.abort(reason);
          await world.source.abandon(one.cursor);
        }
      };
      await expect(run()).rejects.toBe(reason);
    });
  });
}

export interface Loaded {
  pages: ReadPage[];
  ids: string[];
  byId: Map<string, Record<string, string | null>>;
  tombstones: string[];
  countBefore: number | 'unknown';
}

/** Plans and reads a request; checks that every page holds the rows that it announced. */
export async function load(
  world: Pick<SourceHarness, 'source' | 'capabilities'>,
  request: ExtractRequest,
  part: { only?: number; after?: Cursor | undefined; pagesMax?: number } = {},
): Promise<Loaded> {
  const { source, capabilities } = world;
  const plan = await source.plan(request);
  const loaded: Loaded = {
    pages: [],
    ids: [],
    byId: new Map(),
    tombstones: [],
    countBefore: plan.countBefore,
  };
  for (const slice of plan.slices) {
    if (part.only !== undefined && slice.slice !== part.only) continue;
    const context = { after: part.after, signal: never(), onWait: () => undefined };
    for await (const page of readPages(source.extract(request, slice, context), capabilities.jsonRecords)) {
      loaded.pages.push(page);
      if (page.rows !== undefined) expect(page.rows).toHaveLength(page.rowsSent);
      for (const row of page.rows ?? []) {
        if (page.format === 'tombstones') loaded.tombstones.push(row['id'] ?? '');
        else {
          const id = row[request.schema.key] ?? '';
          loaded.ids.push(id);
          loaded.byId.set(id, row);
        }
      }
      if (loaded.pages.length === part.pagesMax) return loaded;
    }
  }
  return loaded;
}

function at(list: readonly string[], n: number): string {
  const one = list[n];
  if (one === undefined) throw new Error(`the harness has too few records (${list.length})`);
  return one;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
