/** What a load is broken with at each of its steps: a batch of all kinds of rows after another one, and the state that every replay must end in. */
import type { LoadRequest, Warehouse } from '../../warehouses/warehouse.ts';
import { administer } from '../support/postgres-warehouse.ts';
import { windowOf, type Bench } from './warehouse-fixture.ts';
import { EVOLVE, NAME, row, signal, T } from './warehouse-harness.ts';

/** Keys of the second batch, tombstones too, that a proof finds. */
export const PROVEN = { present: 6, missing: 0 };

export async function replayBatches(bench: Bench): Promise<[LoadRequest, LoadRequest]> {
  const rows = [row('1', 1, 'a'), row('2', 2, 'b'), row('3', 3, 'c'), row('4', 4, 'd')];
  const before = { window: windowOf('w1'), id: 'b1', confirmedAt: T(20) };
  const first = await bench.batch(NAME, { csv: rows }, before);
  const csv = [row('1', 1, 'a'), row('2', 3, 'newer'), row('3', 1, 'older'), row('5', 5, 'e')];
  csv.push(['6', 'no time', 'false', 'bad']);
  const tombstones = ['4', '9'].map((id) => ({ id, deletedAt: T(9) }));
  const more = { window: windowOf('w2'), id: 'b2', confirmedAt: T(30) };
  return [first, await bench.batch(NAME, { csv, tombstones }, more)];
}

/** The same batch of another connection. */
const of = (name: string, { window, batch, ...rest }: LoadRequest): LoadRequest => ({
  ...rest,
  window: { ...window, id: `${window.id} ${name}`, connection: name },
  batch: { ...batch, id: `${batch.id} ${name}`, window: `${window.id} ${name}` },
});

/** Lands the first batch in a connection of its own; gives the second. */
export async function prepareReplay(
  warehouse: Warehouse,
  [first, second]: readonly [LoadRequest, LoadRequest],
  name: string,
): Promise<LoadRequest> {
  await warehouse.migrate(name, NAME, EVOLVE);
  await warehouse.load(of(name, first), signal);
  return of(name, second);
}

/** Of a server that Postgres stands in for: rows and facts of one connection, without times of loading: what all that took the same batches have in common. */
export async function stateOf(url: string, name: string): Promise<unknown> {
  const rows = await administer(
    url,
    `SELECT id, name, _deleted, _version::text, _confirmed_at::text, _hash, split_part(_window, ' ', 1) AS in_window FROM ${name}.contact ORDER BY id`,
  );
  const facts = await administer(
    url,
    `SELECT split_part(batch, ' ', 1) AS batch, attempt, inserted, updated, unchanged, stale, replaced_by
     FROM _headwater.batches WHERE connection = '${name}' ORDER BY batch`,
  );
  const aside = await administer(
    url,
    `SELECT record, field, value FROM _headwater.quarantine WHERE connection = '${name}' ORDER BY 1`,
  );
  return { rows, facts, aside };
}

/** Temporary tables that a session which nobody ends has left on such a server. */
export const temporaryTables = (url: string): Promise<Record<string, unknown>[]> =>
  administer(url, "SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'");
