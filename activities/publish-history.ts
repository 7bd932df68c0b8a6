// Part of publish: versions of profiles that were published before a further warehouse was there, from the main one.
import { Context } from '@temporalio/activity';
import { HeadwaterError } from '../rules/errors.ts';
import { goldenTables, type OwnRow } from '../rules/golden-tables.ts';
import type { ClaimValue } from '../schemas/observation.ts';
import type { OwnTable } from '../schemas/own-table.ts';
import { forSink } from './copies.ts';
import type { Dependencies } from './dependencies.ts';
import { mergeRows, publish } from './publish.ts';

/** A version takes some 10 KB of memory while it is written. */
const ROWS_PER_PAGE_MAX = 2_000;

/** Set in the claims store once a further warehouse has the whole history. */
const markOf = (sink: string): string => `${sink}/history`;

/** A connection is named for the log alone: all profiles are published. */
export interface PublishInput {
  connection?: string;
  /** A further warehouse that gets the versions of before it was there. */
  historyTo?: string;
}

export async function publishAsked(dependencies: Dependencies, { historyTo }: PublishInput): Promise<number> {
  const published = await dependencies.lanes('publish', () => publish(dependencies));
  if (historyTo !== undefined) await publishHistory(dependencies, historyTo);
  return published;
}

/** Whether a warehouse lacks golden rows, or versions of them, that the main one has. */
export async function lacksGolden(dependencies: Dependencies, sink: string): Promise<boolean> {
  const { profiles, sink: main } = dependencies;
  if (profiles === undefined || sink === main) return false;
  const { claims } = profiles;
  for (const part of ['', '/events'])
    if ((await claims.cursor(`${sink}${part}`)) < (await claims.cursor(`${main}${part}`))) return true;
  return (await claims.cursor(main)) > 0 && (await claims.cursor(markOf(sink))) === 0;
}

/** A version that is there stays, so repeating it changes nothing: it also brings what was published in an outage. Returns rows. */
async function publishHistory(dependencies: Dependencies, sink: string): Promise<number> {
  const { profiles } = dependencies;
  if (profiles === undefined || sink === dependencies.sink) return 0;
  const copy = await forSink(dependencies, sink);
  const { epoch } = await profiles.claims.sinkState();
  let rows = 0;
  for (const entity of profiles.entities.values()) {
    const { versions } = goldenTables(entity);
    let after: OwnRow | undefined;
    for (;;) {
      // I5: an erasure waits for this lane, so nobody is read here before it and written after it.
      const page = await dependencies.lanes('publish', async () => {
        const found = await readPage(dependencies, versions, epoch, after);
        if (found.length > 0) await mergeRows(copy, versions, found);
        return found;
      });
      rows += page.length;
      after = page.at(-1);
      Context.current().heartbeat({ sink, rows });
      Context.current().cancellationSignal.throwIfAborted();
      if (page.length < ROWS_PER_PAGE_MAX) break;
    }
  }
  await profiles.claims.moveCursor(markOf(sink), 1);
  return rows;
}

async function readPage(
  { warehouse, rawTable, lanes }: Dependencies,
  table: OwnTable,
  epoch: string,
  after: OwnRow | undefined,
): Promise<OwnRow[]> {
  const { _profile: profile, _version: version } = after ?? {};
  const behind =
    typeof profile !== 'string' || typeof version !== 'number'
      ? ''
      : ` AND (_profile > '${profile}' OR (_profile = '${profile}' AND _version > ${version}))`;
  const sql =
    `SELECT * FROM ${rawTable('golden', table.name)} WHERE _epoch = '${epoch}'${behind} ` +
    `ORDER BY _profile, _version LIMIT ${ROWS_PER_PAGE_MAX}`;
  try {
    const { columns, rows } = await lanes('warehouse', () => warehouse.query(sql, ROWS_PER_PAGE_MAX));
    const at = new Map(columns.map(({ name }, index) => [name.toLowerCase(), index]));
    return rows.map((row) =>
      Object.fromEntries(
        table.columns.map(({ name, type }) => [
          name,
          valueOf(row[at.get(name.toLowerCase()) ?? -1], type.kind),
        ]),
      ),
    );
  } catch (error) {
    // Nothing of this entity was ever published.
    if (error instanceof HeadwaterError && error.code === 'INPUT_INVALID' && after === undefined) return [];
    throw error;
  }
}

/** As `goldenRow` writes them: an answer has integers and JSON as text. */
function valueOf(value: unknown, kind: string): ClaimValue {
  if (value === null || value === undefined) return null;
  if (kind === 'integer') return Number(value);
  if (kind === 'json' && typeof value === 'string') {
    const parsed: ClaimValue = JSON.parse(value);
    return parsed;
  }
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  throw new HeadwaterError('WAREHOUSE_REJECTED', `a golden ${kind} is read as a ${typeof value}`);
}
