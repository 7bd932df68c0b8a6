// Step 7, publish: drains the outbox of changed profiles into the warehouse's golden tables, as bulk merges.
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Context } from '@temporalio/activity';
import { eventRow, goldenRow, goldenTables, identityRows, type OwnRow } from '../rules/golden-tables.ts';
import type { GoldenProfile } from '../schemas/profile.ts';
import type { OwnTable } from '../schemas/own-table.ts';
import type { Claims } from '../stores/claims/claims.ts';
import { copiesOf, isAway, isBusy, tryEachCopy } from './copies.ts';
import type { Dependencies, Profiles } from './dependencies.ts';
import { failpoint } from './failpoints.ts';

/** Profiles, or events, per transaction of the warehouse: a profile takes some 10 KB of memory while it is written. */
const ROWS_PER_MERGE_MAX = 5_000;
/** Outbox rows read at once: a profile that changed several times among them is written once. */
const OUTBOX_ROWS_MAX = 20_000;
/** A further warehouse that is slower than the main one by more than this goes on with the next publish. */
const COPY_MS_MAX = 30_000;
/** Of several, a main one that still lands for longer gets its golden tables with the next publish. */
const BUSY_MS_MAX = 60_000;

/**
 * Drains everything; a crash between the merge and the cursor repeats a merge, which changes nothing. Returns profiles. Each warehouse
 * has cursors of its own, so one that is away gets what it missed from the next publish.
 */
export async function publish(dependencies: Dependencies): Promise<number> {
  let endedMs = Infinity;
  const isLate = () => dependencies.now() - endedMs > COPY_MS_MAX;
  const isAlone = copiesOf(dependencies).length === 0;
  const publishToMain = async () => {
    if (isAlone || !(await isBusy(dependencies, BUSY_MS_MAX))) return publishTo(dependencies, () => false);
    dependencies.log('warn', 'golden tables wait for the next publish', { reason: 'busy' });
    return 0;
  };
  const [main] = await Promise.allSettled([
    publishToMain().finally(() => (endedMs = dependencies.now())),
    tryEachCopy(dependencies, 'golden tables', (copy) => publishTo(copy, isLate)),
  ]);
  if (main.status === 'fulfilled') return main.value;
  const { reason }: { reason: unknown } = main;
  if (isAlone || !isAway(reason)) throw reason;
  dependencies.log('warn', 'golden tables wait for the next publish', { reason: reason.code });
  return 0;
}

/** `isLate` is asked between two parts: what is written stays, the rest comes with the next publish. */
async function publishTo(dependencies: Dependencies, isLate: () => boolean): Promise<number> {
  const { profiles, sink, lanes, warehouse } = dependencies;
  if (profiles === undefined) return 0;
  const { claims } = profiles;
  const { epoch } = await claims.sinkState();
  const published = await drain(claims, sink, {
    read: profileReader(claims),
    write: (current) => merge(dependencies, profileTables(profiles, current, epoch)),
    isLate,
  });
  if (isLate()) return published;
  // The log itself, under a cursor of its own: `golden.profile_events`.
  await drain(claims, `${sink}/events`, {
    read: async (after) => {
      const items = await claims.events(after, ROWS_PER_MERGE_MAX);
      return { last: items.at(-1)?.seq, isLast: items.length < ROWS_PER_MERGE_MAX, items };
    },
    write: (events) =>
      merge(dependencies, [[goldenTables.events, events.map((event) => eventRow(event, epoch))]]),
    isLate,
  });
  if (isLate()) return published;
  // I6: rows of an earlier store go only when everything of this one is there.
  const alone = `${sink}/alone`;
  if (published > 0 && (await claims.cursor(alone)) === 0) {
    const tables = ownTables(profiles);
    await lanes('warehouse', () => warehouse.dropOtherEpochs(tables, epoch));
    await claims.moveCursor(alone, 1);
  }
  return published;
}

interface Drained<Item> {
  /** Where the next read begins; undefined at the end. */
  last: number | undefined;
  /** Nothing more was there when it was read. */
  isLast: boolean;
  items: Item[];
}

/** Profiles as they are now. Positions are passed by once every profile up to them is in a part read before, or in this one. */
function profileReader(claims: Claims): (after: number) => Promise<Drained<GoldenProfile>> {
  let page = { ids: [] as string[], last: 0, isLast: false };
  return async (after) => {
    if (page.ids.length === 0) {
      const rows = await claims.outbox(after, OUTBOX_ROWS_MAX);
      const last = rows.at(-1)?.position;
      if (last === undefined) return { last, isLast: true, items: [] };
      const ids = [...new Set(rows.map(({ profile }) => profile))];
      page = { ids, last, isLast: rows.length < OUTBOX_ROWS_MAX };
    }
    const items = await claims.current(page.ids.splice(0, ROWS_PER_MERGE_MAX));
    const isRead = page.ids.length === 0;
    return { last: isRead ? page.last : after, isLast: isRead && page.isLast, items };
  };
}

/** Reads a part while the one before is written: opening profiles is work of this thread, merging them is the warehouse's. */
async function drain<Item>(
  claims: Claims,
  consumer: string,
  steps: {
    read: (after: number) => Promise<Drained<Item>>;
    write: (items: Item[]) => Promise<void>;
    isLate: () => boolean;
  },
): Promise<number> {
  let count = 0;
  let coming = steps.read(await claims.cursor(consumer));
  for (;;) {
    const { last, isLast, items } = await coming;
    if (last === undefined) return count;
    if (!isLast) {
      coming = steps.read(last);
      // Its error is told when its turn comes.
      coming.catch(() => undefined);
    }
    await steps.write(items);
    failpoint('publish:merged');
    await claims.moveCursor(consumer, last);
    count += items.length;
    Context.current().heartbeat({ consumer, count });
    Context.current().cancellationSignal.throwIfAborted();
    // What has come meanwhile is the next publish's: where changes never cease, this one would not end.
    if (isLast || steps.isLate()) return count;
  }
}

function ownTables({ entities }: Profiles): OwnTable[] {
  const golden = [...entities.values()].flatMap((entity) => Object.values(goldenTables(entity)));
  return [...golden, goldenTables.identities, goldenTables.events];
}

function profileTables(profiles: Profiles, current: GoldenProfile[], epoch: string): [OwnTable, OwnRow[]][] {
  const tables: [OwnTable, OwnRow[]][] = [];
  for (const [entity, group] of Map.groupBy(current, (profile) => profile.entity)) {
    const definition = profiles.entities.get(entity);
    if (definition === undefined) continue;
    const { newest, versions } = goldenTables(definition);
    const rows = group.map((profile) => goldenRow(definition, profile, epoch));
    tables.push([newest, rows], [versions, rows]);
  }
  tables.push([goldenTables.identities, current.flatMap((profile) => identityRows(profile, epoch))]);
  return tables;
}

/** Writes the rows beside the staged files, merges them in one transaction, removes them. */
async function merge(
  { stage, warehouse, lanes }: Dependencies,
  tables: [OwnTable, OwnRow[]][],
): Promise<void> {
  const files: { table: OwnTable; file: string }[] = [];
  // The newest and the history have the same rows.
  const written = new Map<OwnRow[], string>();
  try {
    for (const [table, rows] of tables) {
      if (rows.length === 0) continue;
      const file = written.get(rows) ?? (await stage.reserve('publish/0', 'ndjson'));
      files.push({ table, file });
      if (written.has(rows)) continue;
      written.set(rows, file);
      await pipeline(Readable.from(lines(rows)), createWriteStream(file, { mode: 0o600 }));
    }
    await lanes('warehouse', () => warehouse.mergeOwn(files, Context.current().cancellationSignal));
  } finally {
    await Promise.all(files.map(({ file }) => rm(file, { force: true })));
  }
}

const LINES_PER_CHUNK = 500;

function* lines(rows: OwnRow[]): Iterable<string> {
  for (let at = 0; at < rows.length; at += LINES_PER_CHUNK) {
    yield rows
      .slice(at, at + LINES_PER_CHUNK)
      .map((row) => `${JSON.stringify(row)}\n`)
      .join('');
  }
}

/** Rows of one table. */
export async function mergeRows(dependencies: Dependencies, table: OwnTable, rows: OwnRow[]): Promise<void> {
  await merge(dependencies, [[table, rows]]);
}
