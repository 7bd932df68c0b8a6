import type { LoadReceipt } from '../../schemas/batch.ts';
import { appliedBatch, checkShaped, isSetAside, leftOut, loadTable } from '../batch-rules.ts';
import type { LoadTable, Tally } from '../batch-rules.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { literal } from '../sql.ts';
import { BY_ID_WINDOW } from '../warehouse.ts';
import type { LoadRequest } from '../warehouse.ts';
import type { Client } from './client.ts';
import { raised } from './errors.ts';
import { inTurn, labelsOf, once } from './jobs.ts';
import * as statement from './load-sql.ts';
import { checkNames, columnName, moment, quoted, sha, text } from './names.ts';
import { dropStaged, fromFiles, isStreamed, isUnstaged, stage } from './staging.ts';
import type { StagedColumn, StagedTable } from './staging.ts';
import { lockSql, overtaken, ownTable, quarantineInto } from './system-tables.ts';
import { placeFields } from './types.ts';

export interface Load {
  client: Client;
  request: LoadRequest;
  table: LoadTable;
  now: string;
  signal?: AbortSignal | undefined;
}

/** What a load adds to the transaction, and what it counts. */
export interface Part {
  statements: string[];
  /** Expressions over what the statements left; they count into the batch row. */
  tally: statement.TallySql;
  staged: (StagedTable | undefined)[];
  temporary: string[];
}

/**
 * One batch in one transaction with its batch row (I2): both are there or neither. The files are loaded into tables of their own
 * first; then one job decides, merges and writes the batch row. The job's id is made of the batch, so that a job whose answer was
 * lost is found again instead of being run twice.
 */
export async function loadBatch(
  client: Client,
  request: LoadRequest,
  now: string,
  signal: AbortSignal,
): Promise<LoadReceipt> {
  const started = performance.now();
  const applied = await findApplied(client, request);
  if (applied !== undefined) return { ...applied, ms: performance.now() - started };
  const table = await openTable(client, request);
  const load: Load = { client, request, table, now, signal };
  const { rows, tombstones } = request.files;
  const parts: Part[] = [];
  const columns = statement.stagedColumns(table);
  const keptOut = rows.length === 0 ? [] : await fieldsSetAside(load);
  if (rows.length > 0) parts.push(await rowsPart(load, rows, columns));
  if (tombstones !== null) parts.push(await tombstonesPart(load, tombstones));
  parts.push(await asidePart(load, columns, keptOut));
  const receipt = await commitBatch(load, parts);
  return { ...receipt, ms: performance.now() - started };
}

const BATCH_FACTS = '`batch`, `attempt`, `inserted`, `updated`, `unchanged`, `stale`, `replaced_by`';

/** See `appliedBatch`. One that was replaced and comes back takes its place again. */
export async function findApplied(
  client: Client,
  request: LoadRequest,
): Promise<Omit<LoadReceipt, 'ms'> | undefined> {
  const { batch, window } = request;
  const batches = ownTable(client, 'batches');
  const rows = await client.rows(`SELECT ${BATCH_FACTS} FROM ${batches} WHERE \`window\` = @window`, {
    window: window.id,
  });
  const applied = appliedBatch(rows, request);
  if (applied?.claim === true) {
    await client.script([
      'BEGIN TRANSACTION',
      ...(applied.back ? [replaceOthersSql(client, request)] : []),
      `UPDATE ${batches} SET \`replaced_by\` = NULL, \`attempt\` = GREATEST(\`attempt\`, ${window.attempt}) WHERE \`batch\` = ${text(batch.id)} AND \`window\` = ${text(window.id)}`,
      'COMMIT TRANSACTION',
    ]);
  }
  return applied?.receipt;
}

/**
 * An older batch of the same slice counts in no receipt any more. Only where there is one: a statement that changes this table
 * would stop every other load that does, too.
 */
function replaceOthersSql(client: Pick<Client, 'dataset'>, { batch, window }: LoadRequest): string {
  const batches = ownTable(client, 'batches');
  const others = `\`window\` = ${text(window.id)} AND \`slice\` = ${batch.slice} AND \`batch\` <> ${text(batch.id)} AND \`replaced_by\` IS NULL`;
  return `IF EXISTS (SELECT 1 FROM ${batches} WHERE ${others}) THEN UPDATE ${batches} SET \`replaced_by\` = ${text(batch.id)} WHERE ${others}; END IF`;
}

export async function openTable(client: Client, request: LoadRequest): Promise<LoadTable> {
  const { window, schema } = request;
  checkNames(schema);
  const columns = await client.columns(window.connection, schema.table);
  const target = client.target(window.connection, schema.table);
  const table = loadTable(target, request, columns, placeFields(schema.fields, columns));
  return { ...table, key: quoted(table.keyName) };
}

export const labelled = ({ window }: LoadRequest): Record<string, string> =>
  labelsOf({
    connection: window.connection,
    object: window.object,
    run: window.owner.runId,
    window: window.id,
  });

const ownerOf = ({ batch, window }: LoadRequest): string => `${window.id}/${batch.id}`;

export function stageRows(
  { client, request, signal }: Pick<Load, 'client' | 'request' | 'signal'>,
  paths: readonly string[],
  columns: readonly StagedColumn[],
): Promise<StagedTable> {
  const staged = columns.map(({ name, staged: type, value }) => ({ name, staged: type, value }));
  return stage(client, {
    ...{ owner: ownerOf(request), sources: paths, columns: staged, from: fromFiles(paths) },
    ...{ labels: labelled(request), signal, pushed: isPushed(request) },
  });
}

/** Not a window of a run: somebody waits for what was pushed. */
const isPushed = ({ window }: LoadRequest): boolean => window.id.startsWith(BY_ID_WINDOW);

async function rowsPart(load: Load, paths: readonly string[], columns: StagedColumn[]): Promise<Part> {
  const { client, request, table, now } = load;
  const [found] = await client.staged.rows(statement.inspectSql(table.stagedKey, fromFiles(paths)));
  checkShaped(request, Number(found?.['rows']), Number(found?.['keys']));
  const staged = await stageRows(load, paths, columns);
  const plan = { name: statement.planName(table, request, 'rows'), staging: staged.table, columns };
  return {
    statements: [
      ...staged.proof,
      statement.planRowsSql(table, plan),
      statement.refuseSql(
        `(SELECT COUNT(*) FROM ${plan.name}) <> ${request.batch.counts.shaped}`,
        'repeated',
      ),
      statement.mergeSql(table, plan, now),
      ...statement.inexactSql(table, plan, request, quarantineInto(client), now),
    ],
    tally: tallyOf(plan.name),
    staged: [staged],
    temporary: [plan.name],
  };
}

async function tombstonesPart(load: Load, path: string): Promise<Part> {
  const { request, table, now } = load;
  const columns = statement.goneColumns(table);
  const staged = await stageRows(load, [path], columns);
  const plan = { name: statement.planName(table, request, 'gone'), staging: staged.table, columns };
  return {
    statements: [
      ...staged.proof,
      statement.planTombstonesSql(table, plan),
      statement.refuseSql(
        `(SELECT COUNT(*) FROM ${plan.name}) <> (SELECT COUNT(*) FROM ${staged.table})`,
        'repeated',
      ),
      statement.mergeTombstonesSql(table, plan, { window: request.window.id, now }),
    ],
    tally: tallyOf(plan.name),
    staged: [staged],
    temporary: [plan.name],
  };
}

const tallyOf = (plan: string): statement.TallySql => ({
  inserted: statement.countOf([plan], 'insert'),
  updated: statement.countOf([plan], 'update'),
  unchanged: statement.countOf([plan], 'unchanged'),
  stale: statement.countOf([plan], 'stale'),
});

/** Under the policy `quarantine` the values of a field without a column are set aside. */
async function fieldsSetAside({ client, request, table }: Load): Promise<string[]> {
  const places = leftOut(table.places);
  if (places.length === 0) return [];
  const told = await client.rows(
    `SELECT \`column\`, \`policy\` FROM ${ownTable(client, 'schema_changes')} WHERE \`connection\` = @name AND \`table\` = @of ORDER BY \`changed_at\``,
    { name: request.window.connection, of: request.schema.table },
  );
  const policies = new Map(told.map((row) => [row['column'], row['policy']]));
  return places
    .filter((place) => isSetAside(place, policies.get(columnName(place.field.column)), table.target))
    .map(({ field }) => field.name);
}

const ASIDE_COLUMNS = ['record', 'field', 'value', 'reason', 'raw'];

/** What shaping set aside, and what this warehouse does not take. */
export async function asidePart(
  { client, request, table, now, signal }: Load,
  columns: readonly StagedColumn[],
  keptOut: readonly string[],
): Promise<Part> {
  const none: Part = { statements: [], tally: zeros, staged: [], temporary: [] };
  const { rows, quarantine } = request.files;
  const selects =
    rows.length === 0 ? [] : statement.asideSelects(table, request, columns, keptOut, fromFiles(rows));
  if (quarantine !== null)
    selects.push(
      `SELECT CAST(record AS VARCHAR) AS record, field, CAST(value AS VARCHAR) AS value, coalesce(reason, 'unknown') AS reason, CAST(raw AS VARCHAR) AS raw FROM read_parquet(${literal(quarantine)})`,
    );
  if (selects.length === 0) return none;
  const from = `FROM (${selects.join(' UNION ALL ')})`;
  const [counted] = await client.staged.rows(`SELECT count(*) AS rows ${from}`);
  if (Number(counted?.['rows']) === 0) return none;
  const staged = await stage(client, {
    owner: ownerOf(request),
    sources: [...rows, ...(quarantine === null ? [] : [quarantine])],
    columns: ASIDE_COLUMNS.map((name) => ({ name, staged: 'STRING', value: name })),
    ...{ from, labels: labelled(request), signal, pushed: isPushed(request) },
  });
  const about = [request.batch.id, request.window.id, request.window.connection, request.window.object];
  const insert = `INSERT INTO ${quarantineInto(client)}\nSELECT ${about.map(text).join(', ')}, record, field, value, reason, raw, ${moment(now)}, GENERATE_UUID() FROM ${staged.table}`;
  return { ...none, statements: [...staged.proof, insert], staged: [staged] };
}

const zeros: statement.TallySql = { inserted: '0', updated: '0', unchanged: '0', stale: '0' };

const sumOf = (parts: readonly Part[], name: keyof Tally): string =>
  parts.map(({ tally }) => tally[name]).join(' + ') || '0';

/** The script of a load, from its first to its last statement. */
export function scriptOf(
  { client, request, now }: Pick<Load, 'request' | 'now'> & { client: Pick<Client, 'dataset'> },
  parts: readonly Part[],
): string[] {
  const { batch, window, schema } = request;
  const batches = ownTable(client, 'batches');
  const about = [
    ...[text(batch.id), text(window.id), batch.slice, window.attempt],
    ...[window.connection, window.object, schema.table].map(text),
  ];
  const sums = (['inserted', 'updated', 'unchanged', 'stale'] as const).map((name) => sumOf(parts, name));
  return [
    'BEGIN TRANSACTION',
    lockSql(client, window.connection, schema.table),
    // I3: what was asked before the transaction is asked again now that nobody else can change the answer.
    statement.refuseSql(
      `EXISTS (SELECT 1 FROM ${batches} WHERE \`window\` = ${text(window.id)} AND (\`batch\` = ${text(batch.id)} OR \`attempt\` > ${window.attempt}))`,
      'overtaken',
    ),
    ...parts.flatMap(({ statements }) => statements),
    replaceOthersSql(client, request),
    `INSERT INTO ${batches} (\`batch\`, \`window\`, \`slice\`, \`attempt\`, \`connection\`, \`object\`, \`table\`, \`inserted\`, \`updated\`, \`unchanged\`, \`stale\`, \`counts\`, \`replaced_by\`, \`loaded_at\`)\nSELECT ${[...about, ...sums, text(JSON.stringify(batch.counts)), 'CAST(NULL AS STRING)', moment(now)].join(', ')}`,
    ...parts.flatMap(({ temporary }) => temporary.map((name) => `DROP TABLE ${name}`)),
    'COMMIT TRANSACTION',
    `SELECT ${BATCH_FACTS} FROM ${batches} WHERE \`window\` = ${text(window.id)}`,
  ];
}

export async function commitBatch(load: Load, parts: readonly Part[]): Promise<Omit<LoadReceipt, 'ms'>> {
  const { client, request, table, signal } = load;
  const { batch, window } = request;
  const labels = labelled(request);
  const key = `headwater_merge_${sha(table.target, window.id, batch.id, String(window.attempt)).slice(0, 40)}`;
  const statements = scriptOf(load, parts);
  let found: Omit<LoadReceipt, 'ms'> | undefined;
  const look = async (): Promise<boolean> => {
    found = await findApplied(client, request);
    return found !== undefined;
  };
  try {
    // A job that was there before counts if its batch row is there still: a table may have been put back in time.
    const done = await inTurn(
      () => once(key, (id) => client.script(statements, { id, labels, signal }), look),
      signal,
    );
    if (!done.repeated) {
      const applied = appliedBatch(done.rows, request);
      if (applied !== undefined) found = { ...applied.receipt, alreadyApplied: false };
    }
  } catch (error) {
    if (raised(error) === 'repeated') throw repeatedKey(table.target);
    if (raised(error) !== 'overtaken' && !isUnstaged(error)) throw error;
    await look();
  } finally {
    // Nobody finds these again.
    await dropStaged(
      client,
      parts.flatMap(({ staged }) => staged.filter(isStreamed)),
    );
  }
  if (found === undefined) throw overtaken(`loading batch ${batch.id}`);
  await dropStaged(
    client,
    (parts.at(-1)?.staged ?? []).filter((one) => !isStreamed(one)),
  );
  return found;
}

const repeatedKey = (target: string): HeadwaterError =>
  new HeadwaterError('WAREHOUSE_REJECTED', `${target} holds a key more than once`, {
    remedy: 'Another program wrote into this table. Remove the repeated rows, then run the window again.',
  });

export async function verifyBatch(
  client: Client,
  request: LoadRequest,
): Promise<{ present: number; missing: number }> {
  const table = await openTable(client, request);
  const sum = { present: 0, missing: 0 };
  const { rows, tombstones } = request.files;
  const staged: StagedTable[] = [];
  // The same columns as the load's: what that staged is used again.
  const asked = [
    ...(rows.length > 0 ? [{ paths: rows, columns: statement.stagedColumns(table) }] : []),
    ...(tombstones === null ? [] : [{ paths: [tombstones], columns: statement.goneColumns(table) }]),
  ];
  for (const { paths, columns } of asked) {
    const one = await stageRows({ client, request }, paths, columns);
    const [counted] = await client.rows(statement.verifySql(table, one.table, columns));
    sum.present += Number(counted?.['present'] ?? 0);
    sum.missing += Number(counted?.['missing'] ?? 0);
    staged.push(one);
  }
  if (sum.missing === 0) await dropStaged(client, staged);
  return sum;
}
