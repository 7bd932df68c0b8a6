import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import {
  Pool,
  types as standardTypes,
  type ClientBase,
  type CustomTypesConfig,
  type PoolClient,
  type QueryArrayResult,
} from 'pg';
import { HeadwaterError } from '../rules/errors.ts';
import { Script } from './postgres-copy.ts';
import { explained, isGone, isRaced } from './postgres-errors.ts';

/** A value as this driver gives it here: numbers for every whole number, text for times. */
export type Value = string | number | boolean | null | Buffer;
export type Values = Value[];
export type Parameter = string | number | boolean | null | readonly (string | number | boolean | null)[];

const { INT8 } = standardTypes.builtins;
const REAL_TEXT: ReadonlySet<number> = new Set([1082, 1083, 1114, 1184, 1266]);
/** How long a command waits for a server that is away or restarts. */
const REACH_MS = 10_000;
const RETRY_MS = 100;
const RACES_MAX = 5;
/** One statement, a lock that another writer has, a process that stops in the middle of a transaction. */
const STATEMENT_MS_MAX = 60_000;
const LOCK_MS_MAX = 10_000;
const IDLE_MS_MAX = 60_000;
const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,62}$/;

export interface PostgresOptions {
  /** With user, password, database and `sslmode` (docs/ledger.md). I5: never in a message or log. */
  url: string;
  schema: string;
  /** Connections that this pool opens at most. */
  connectionsMax: number;
  /** Further settings of each session. */
  settings?: Readonly<Record<string, string>>;
}

/** Whole numbers of this product are below 2^53; times are read as they are written. */
const types: CustomTypesConfig = {
  getTypeParser: (oid: Parameters<typeof standardTypes.getTypeParser>[0], format?: 'text' | 'binary') => {
    if (oid === INT8) return Number;
    if (REAL_TEXT.has(oid)) return String;
    return format === 'binary'
      ? standardTypes.getTypeParser(oid, 'binary')
      : standardTypes.getTypeParser(oid, 'text');
  },
};

/** One connection inside one transaction. */
export class Transaction {
  readonly #client: PoolClient;
  constructor(client: PoolClient) {
    this.#client = client;
  }

  /** Rows as arrays in the order of their columns. Texts are constants: each is prepared once per connection. */
  async list(text: string, ...values: Parameter[]): Promise<Values[]> {
    const config = { name: nameOf(text), text, values, rowMode: 'array' as const };
    return (await this.#client.query<Values>(config)).rows;
  }

  async one(text: string, ...values: Parameter[]): Promise<Values | undefined> {
    return (await this.list(text, ...values))[0];
  }

  /** Rows by column name. */
  async all(text: string, ...values: Parameter[]): Promise<Record<string, Value>[]> {
    return (await this.#client.query<Record<string, Value>>({ name: nameOf(text), text, values })).rows;
  }

  async get(text: string, ...values: Parameter[]): Promise<Record<string, Value> | undefined> {
    return (await this.all(text, ...values))[0];
  }

  /** The number of rows changed. */
  async run(text: string, ...values: Parameter[]): Promise<number> {
    return (await this.#client.query({ name: nameOf(text), text, values })).rowCount ?? 0;
  }

  /** Several statements without parameters in one round trip; the rows of each. */
  async several(text: string): Promise<Values[][]> {
    const results: unknown = await this.#client.query({ text, rowMode: 'array' });
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the driver gives a list for several statements.
    const list = (Array.isArray(results) ? results : [results]) as QueryArrayResult<Values>[];
    return list.map(({ rows }) => rows);
  }

  /** Several statements with the rows of their COPYs, in one round trip. */
  async script(text: string, rows: readonly Buffer[], meanwhile: () => void = () => {}): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => {
      this.#client.query(new Script(text, rows, resolve, reject));
    });
    // Work of the caller's own fits in while the server has something to do: the rows have to be on their way first.
    await Promise.all([answered, turn().then(meanwhile)]);
  }
}

/** Statement texts are constants of the stores, so the names are bounded by them. */
const names = new Map<string, string>();
function nameOf(text: string): string {
  let name = names.get(text);
  if (name === undefined) {
    name = `h${names.size}`;
    names.set(text, name);
  }
  return name;
}

/**
 * The connections of one store. A server that is away is waited for, for a while; a transaction that it cut off is done anew,
 * unless it may have been committed: that is for the caller to know.
 */
export class PostgresPool {
  readonly #pool: Pool;
  readonly schema: string;
  #closed: Promise<void> | null = null;
  /** How many connections have been lost. */
  losses = 0;

  constructor({ url, schema, connectionsMax, settings = {} }: PostgresOptions) {
    if (!SCHEMA_NAME.test(schema)) {
      throw new HeadwaterError('CONFIG_INVALID', `ledger.schema: ${JSON.stringify(schema)} is no plain name`);
    }
    this.schema = schema;
    const session = {
      search_path: schema,
      statement_timeout: String(STATEMENT_MS_MAX),
      lock_timeout: String(LOCK_MS_MAX),
      idle_in_transaction_session_timeout: String(IDLE_MS_MAX),
      client_min_messages: 'warning',
      standard_conforming_strings: 'on',
      jit: 'off',
      ...settings,
    };
    const sets = Object.entries(session).map(([name, value]) => `SET ${name} = '${value}'`);
    this.#pool = new Pool({
      connectionString: checked(url),
      max: connectionsMax,
      types,
      pipeline: true,
      application_name: 'headwater',
      keepAlive: true,
      connectionTimeoutMillis: STATEMENT_MS_MAX,
      // Statements are prepared once per connection: a new one for each pause would be slower than the work.
      idleTimeoutMillis: IDLE_MS_MAX,
      onConnect: (client: ClientBase) => {
        // The connection's first statement; what breaks it breaks the next one too, which says so.
        client.query(sets.join('; ')).catch(() => {});
      },
    });
    // An idle connection that breaks is replaced by the next use.
    this.#pool.on('error', () => (this.losses += 1));
  }

  /** `begin`: the statement that opens the transaction. Ended by COMMIT unless `work` has done so. */
  async transact<T>(work: (tx: Transaction) => Promise<T>, begin = 'BEGIN'): Promise<T> {
    return await this.connected(async (tx) => {
      const result = await inside(tx, begin, work);
      await finish(tx);
      return result;
    });
  }

  /** Several statements that must see one state; nothing may be written. */
  async read<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.connected(async (tx) => {
      const result = await inside(tx, 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', work);
      await tx.several('COMMIT');
      return result;
    });
  }

  /** One connection for `work`, which opens and ends its transactions. Done anew after a race or a lost connection. */
  async connected<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const deadline = performance.now() + REACH_MS;
    for (let races = 0; ;) {
      try {
        return await this.#once(work);
      } catch (error) {
        if (isRaced(error) && races < RACES_MAX) races += 1;
        else if (!isGone(error) || error instanceof HeadwaterError || performance.now() > deadline) {
          throw explained(error);
        } else await sleep(RETRY_MS);
      }
    }
  }

  async #once<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    const lost = () => {};
    client.on('error', lost);
    let broken = false;
    try {
      return await work(new Transaction(client));
    } catch (error) {
      broken = isGone(error) || !(await rolledBack(client));
      if (broken) this.losses += 1;
      throw error;
    } finally {
      client.off('error', lost);
      client.release(broken);
    }
  }

  async close(): Promise<void> {
    this.#closed ??= this.#pool.end();
    await this.#closed;
  }
}

/** The first statements of `work` go out with the one that begins; when that fails, its error is the one that counts. */
async function inside<T>(tx: Transaction, begin: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const begun = tx.several(begin);
  const done = work(tx);
  const [first, second] = await Promise.allSettled([begun, done]);
  if (first.status === 'rejected') throw first.reason;
  if (second.status === 'rejected') throw second.reason;
  return second.value;
}

/** A commit without an answer may have happened: LEDGER_UNAVAILABLE, and whoever repeats the step finds out. */
async function finish(tx: Transaction): Promise<void> {
  try {
    await tx.several('COMMIT');
  } catch (error) {
    throw isGone(error) ? explained(error) : error;
  }
}

async function rolledBack(client: PoolClient): Promise<boolean> {
  try {
    await client.query('ROLLBACK');
    return true;
  } catch {
    return false;
  }
}

/** I5: the parser of addresses repeats what it was given. */
function checked(url: string): string {
  try {
    const { protocol } = new URL(url);
    if (protocol === 'postgres:' || protocol === 'postgresql:') return url;
  } catch {
    // The same answer as for another protocol.
  }
  throw new HeadwaterError(
    'CONFIG_INVALID',
    'ledger.url: the value of this secret is no address of a Postgres',
    {
      remedy: 'Write postgres://user:password@host:5432/database?sslmode=verify-full into the secret.',
    },
  );
}

/** Brings `store`'s tables to the newest version, one process at a time; several stores share a schema. `existing`: INPUT_INVALID for one that nobody has made. */
export async function migrate(
  pool: PostgresPool,
  store: string,
  migrations: readonly string[],
  existing = false,
): Promise<void> {
  const { schema } = pool;
  await pool.transact(async (tx) => {
    await tx.several(`SELECT pg_advisory_xact_lock(hashtext('headwater migrations'), hashtext('${schema}'))`);
    const [[found] = []] = await tx.list('SELECT to_regnamespace($1) IS NOT NULL', schema);
    if (existing && !(found === true && (await hasStore(tx, store)))) throw nothingYet(store, schema);
    if (found !== true) await tx.several(`CREATE SCHEMA ${schema}`);
    await tx.several(
      'CREATE TABLE IF NOT EXISTS migrations (store text PRIMARY KEY, version integer NOT NULL)',
    );
    const row = await tx.one('SELECT version FROM migrations WHERE store = $1', store);
    const version = Number(row?.[0] ?? 0);
    if (version === migrations.length) return;
    if (version > migrations.length) {
      throw new HeadwaterError(
        'CONFIG_INVALID',
        `the ${store} in schema ${schema} has version ${version}, this Headwater knows ${migrations.length}`,
        { remedy: 'Use the newer Headwater that wrote it.' },
      );
    }
    for (const migration of migrations.slice(version)) await tx.several(migration);
    await tx.run(
      'INSERT INTO migrations VALUES ($1, $2) ON CONFLICT (store) DO UPDATE SET version = excluded.version',
      ...[store, migrations.length],
    );
  });
}

async function hasStore(tx: Transaction, store: string): Promise<boolean> {
  const [table] = (await tx.one("SELECT to_regclass('migrations') IS NOT NULL")) ?? [];
  if (table !== true) return false;
  return (await tx.one('SELECT 1 FROM migrations WHERE store = $1', store)) !== undefined;
}

function nothingYet(store: string, schema: string): HeadwaterError {
  return new HeadwaterError(
    'INPUT_INVALID',
    `there are no tables of the ${store} in schema ${schema}: nothing has run yet`,
    {
      remedy: 'Start with `npx headwater start`, or set ledger.schema to the one of the installation.',
    },
  );
}
