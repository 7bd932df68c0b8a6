import type { LoadReceipt } from '../schemas/batch.ts';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { Place, TableColumn } from './columns.ts';
import { quote } from './sql.ts';
import type { LoadRequest, RetireRequest } from './warehouse.ts';

/** What every warehouse decides alike about a batch. Statements are each warehouse's own; rows come as its driver gives them. */
export type FactRow = Readonly<Record<string, unknown>>;

export interface Tally {
  inserted: number;
  updated: number;
  unchanged: number;
  stale: number;
}

export const noTally = (): Tally => ({ inserted: 0, updated: 0, unchanged: 0, stale: 0 });

export function addTally(sum: Tally, more: Tally): void {
  sum.inserted += more.inserted;
  sum.updated += more.updated;
  sum.unchanged += more.unchanged;
  sum.stale += more.stale;
}

/** Some fields of all records, not whole ones. */
export const isPartial = ({ window }: LoadRequest): boolean => window.fields !== undefined;

export function refuseOutdated(window: string, attempt: number, highest: number): void {
  if (attempt >= highest) return;
  throw new HeadwaterError(
    'ATTEMPT_OUTDATED',
    `window ${window}: attempt ${attempt} comes after attempt ${highest}`,
    { details: { window, attempt, highest } },
  );
}

/** A batch that has its row. `back`: it was replaced and comes back; `claim`: its row takes the window's attempt. */
export interface AppliedBatch {
  receipt: Omit<LoadReceipt, 'ms'>;
  back: boolean;
  claim: boolean;
}

/**
 * I3: a lower attempt than one seen for the window is refused. A batch that is there already is a no-op; undefined when it is
 * not. `rows`: batch, attempt, inserted, updated, unchanged, stale, replaced_by of all batches of the window.
 */
export function appliedBatch(
  rows: readonly FactRow[],
  { batch, window }: LoadRequest,
): AppliedBatch | undefined {
  const found = rows.find((row) => row['batch'] === batch.id);
  const highest = rows.reduce((most, row) => Math.max(most, Number(row['attempt'])), 0);
  const back = found !== undefined && found['replaced_by'] !== null;
  if (found === undefined || back) refuseOutdated(window.id, window.attempt, highest);
  if (found === undefined) return undefined;
  const count = (name: keyof Tally): number => Number(found[name]);
  const tally = {
    inserted: count('inserted'),
    updated: count('updated'),
    unchanged: count('unchanged'),
    stale: count('stale'),
  };
  return {
    receipt: { batch: batch.id, alreadyApplied: true, ...tally },
    back,
    claim: back || window.attempt > Number(found['attempt']),
  };
}

/** The columns of a row of `_headwater.batches`, in its order; `replaced_by` is null and not among them. */
export const batchValues = (
  { batch, window, schema }: LoadRequest,
  sum: Tally,
  now: string,
): (string | number)[] => [
  ...[batch.id, window.id, batch.slice, window.attempt, window.connection, window.object, schema.table],
  ...[sum.inserted, sum.updated, sum.unchanged, sum.stale, JSON.stringify(batch.counts), now],
];

export const brokenFile = ({ batch }: LoadRequest, what: string): HeadwaterError =>
  new HeadwaterError('WAREHOUSE_REJECTED', `batch ${batch.id}: the staged file ${what}`, {
    remedy: 'The staged file was changed or is broken; shape the slice again.',
  });

/** The staged rows are those that were shaped, each key once. */
export function checkShaped(request: LoadRequest, rows: number, keys: number): void {
  const { shaped } = request.batch.counts;
  if (rows === keys && rows === shaped) return;
  throw brokenFile(request, `holds ${rows} rows and ${keys} keys, ${shaped} were shaped`);
}

const counter = (counted: readonly FactRow[]) => {
  const rows = new Map(counted.map((row) => [row['action'], Number(row['rows'])]));
  return (action: string): number => rows.get(action) ?? 0;
};

/** Of the plan's rows by action. A key that the table holds twice would count twice: refused. */
export function planTally(counted: readonly FactRow[], staged: number, target: string): Tally {
  const count = counter(counted);
  const tally = {
    inserted: count('insert'),
    updated: count('update'),
    unchanged: count('unchanged'),
    stale: count('stale'),
  };
  const sum = tally.inserted + tally.updated + tally.unchanged + tally.stale;
  if (sum === staged) return tally;
  throw new HeadwaterError(
    'WAREHOUSE_REJECTED',
    `${target} holds a key more than once: ${staged} staged rows meet ${sum}`,
    {
      remedy: 'Another program wrote into this table. Remove the repeated rows, then run the window again.',
    },
  );
}

/** I2: of a partial window each staged row is updated, unchanged or stale; stale is also a key that the table holds older, or not at all. */
export function partialTally(counted: readonly FactRow[]): Tally {
  const count = counter(counted);
  return {
    inserted: 0,
    updated: count('update'),
    unchanged: count('unchanged'),
    stale: count('stale') + count('behind') + count('absent'),
  };
}

export function checkPartial({ batch }: LoadRequest, sum: Tally, target: string): void {
  if (sum.updated + sum.unchanged + sum.stale === batch.counts.shaped) return;
  throw new HeadwaterError(
    'WAREHOUSE_REJECTED',
    `${target} holds a key more than once, or the staged file is broken: ${batch.counts.shaped} rows were shaped`,
    { remedy: 'Remove the repeated rows, then run the window again.' },
  );
}

/** The table of a load: where its key and its fields go. */
export interface LoadTable {
  /** Qualified and quoted. */
  target: string;
  /** All of the table's columns, as the catalog has them. */
  columns: TableColumn[];
  places: Place[];
  /** The column that holds the key: plain name, quoted name, type, and its quoted name in the staged files. */
  keyName: string;
  key: string;
  keyType: string;
  stagedKey: string;
}

export function loadTable(
  target: string,
  { window, schema }: LoadRequest,
  columns: TableColumn[],
  places: Place[],
): LoadTable {
  const key = places.find((place) => place.field.name === schema.key);
  if (key?.column === undefined || !key.fits) {
    const why =
      columns.length === 0
        ? 'the table does not exist'
        : `its key column ${key?.field.column ?? schema.key} does not fit`;
    throw new HeadwaterError('WAREHOUSE_REJECTED', `${window.connection}.${schema.table}: ${why}`, {
      remedy: 'Allow new tables and types in the schema policy, then run the window again.',
    });
  }
  return {
    ...{ target, columns, places },
    keyName: key.column.name,
    key: quote(key.column.name),
    keyType: key.column.type,
    stagedKey: quote(key.field.column),
  };
}

/** Fields without a column that takes them. */
export const leftOut = (places: readonly Place[]): Place[] =>
  places.filter(({ column, fits }) => column === undefined || !fits);

/** Under the policy `quarantine` the values of such a field are set aside, never dropped unseen. `policy`: the last one told for it. */
export function isSetAside({ field }: Place, policy: unknown, target: string): boolean {
  if (policy === undefined) {
    throw new HeadwaterError(
      'WAREHOUSE_REJECTED',
      `${target}: no column takes ${field.column}, and no policy left it out`,
    );
  }
  return policy === 'quarantine';
}

export const keptOutReason = (table: string): string => `the policy keeps this column out of ${table}`;

/** The window's fields that the table has a fitting column for; without the key, which never changes. */
export function broughtPlaces(
  { window, schema }: LoadRequest,
  places: readonly Place[],
): (Place & { column: TableColumn })[] {
  const asked = new Set(window.fields ?? []);
  return places.flatMap(({ field, column, fits }) =>
    asked.has(field.name) && field.name !== schema.key && column !== undefined && fits
      ? [{ field, column, fits }]
      : [],
  );
}

/** I6: a source that suddenly lacks a large part is more likely broken than empty. */
export function refuseShrink(
  { window, schema, rowsMax, shareMax }: RetireRequest,
  rows: number,
  present: number,
): void {
  if (rows <= rowsMax || rows <= present * shareMax) return;
  throw new HeadwaterError(
    'SHRINK_GUARD',
    `${window.connection}.${schema.table}: ${rows} of ${present} rows are no longer in the source; nothing was marked deleted`,
  );
}

/** Plain name of the column that the source's key has in its first version. */
export const keyColumnOf = (schema: ObjectSchema): string =>
  schema.fields.find((field) => field.name === schema.key)?.column ?? schema.key;
