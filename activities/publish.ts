// Step 7, publish: drains the outbox of changed profiles into the warehouse's golden tables, as bulk merges.
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Context } from '@temporalio/activity';
import { eventRow, goldenRow, goldenTables, identityRows, type OwnRow } from '../rules/golden-tables.ts';
import type { ProfileEvent } from '../schemas/event.ts';
import type { GoldenProfile } from '../schemas/profile.ts';
import type { OwnTable } from '../schemas/own-table.ts';
import type { Dependencies, Profiles } from './dependencies.ts';
import { failpoint } from './failpoints.ts';

/** Outbox rows per transaction of the warehouse: a profile takes some 10 KB of memory while it is written. */
const ROWS_PER_MERGE_MAX = 5_000;

/** Drains everything; a crash between the merge and the cursor repeats a merge, which changes nothing. Returns profiles. */
export async function publish(dependencies: Dependencies): Promise<number> {
  const { profiles, sink, lanes, warehouse } = dependencies;
  if (profiles === undefined) return 0;
  let published = 0;
  const { epoch } = await profiles.claims.sinkState();
  for (;;) {
    const after = await profiles.claims.cursor(sink);
    const rows = await profiles.claims.outbox(after, ROWS_PER_MERGE_MAX);
    const last = rows.at(-1);
    if (last === undefined) break;
    const ids = [...new Set(rows.map(({ profile }) => profile))];
    const current = await profiles.claims.current(ids);
    await merge(dependencies, profileTables(profiles, current, epoch));
    failpoint('publish:merged');
    await profiles.claims.moveCursor(sink, last.position);
    published += ids.length;
    Context.current().heartbeat({ published });
    Context.current().cancellationSignal.throwIfAborted();
  }
  await publishEvents(dependencies, profiles, epoch);
  // I6: rows of an earlier store go only when everything of this one is there.
  const alone = `${sink}/alone`;
  if (published > 0 && (await profiles.claims.cursor(alone)) === 0) {
    const tables = ownTables(profiles);
    await lanes('warehouse', () => warehouse.dropOtherEpochs(tables, epoch));
    await profiles.claims.moveCursor(alone, 1);
  }
  return published;
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

/** The log itself, under a cursor of its own: `golden.profile_events`. */
async function publishEvents(dependencies: Dependencies, { claims }: Profiles, epoch: string): Promise<void> {
  const consumer = `${dependencies.sink}/events`;
  for (;;) {
    const after = await claims.cursor(consumer);
    const events: ProfileEvent[] = await claims.events(after, ROWS_PER_MERGE_MAX);
    const last = events.at(-1);
    if (last === undefined) return;
    await merge(dependencies, [[goldenTables.events, events.map((event) => eventRow(event, epoch))]]);
    await claims.moveCursor(consumer, last.seq);
    Context.current().heartbeat({ events: last.seq });
  }
}

/** Writes the rows beside the staged files, merges them in one transaction, removes them. */
async function merge(
  { stage, warehouse, lanes }: Dependencies,
  tables: [OwnTable, OwnRow[]][],
): Promise<void> {
  const files: { table: OwnTable; file: string }[] = [];
  try {
    for (const [table, rows] of tables) {
      if (rows.length === 0) continue;
      const file = await stage.reserve('publish/0', 'ndjson');
      files.push({ table, file });
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
