import { mkdirSync, openSync, closeSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../rules/errors.ts';
import { integer } from './row.ts';

export type Row = Record<string, SQLOutputValue>;

/** How long SQLite itself may block the event loop for another process's lock; longer waits are asynchronous. */
const BLOCK_MS_MAX = 20;
const RETRY_MS = 10;
const WAL_BYTES_MAX = 64 * 1024 ** 2;

const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;

export interface SqliteFileOptions {
  /** How long a transaction waits for other processes. */
  busyTimeoutMs: number;
  /** Entry n leads from `user_version` n to n + 1; a released entry never changes. */
  migrations: readonly string[];
  /** Run once after opening. */
  pragmas?: string;
}

/**
 * One SQLite file in WAL mode, for several processes at once. A transaction is one synchronous function, so nothing of this
 * process comes between its statements.
 *
 * Commits are synchronous=FULL: measured at 0.25 ms on an SSD, and without it a power loss would take back commits that the
 * caller has already acted upon (a killed process would not, the pages are in the kernel by then). `relaxed` is for
 * what is not yet acknowledged (parts of a batch before its last) or may be lost (a grant of a token bucket): the log keeps the
 * order, so no later commit survives an earlier one, and the next full commit makes all before it durable.
 */
export class SqliteFile {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #lists = new Map<string, StatementSync>();
  readonly #options: SqliteFileOptions;
  #relaxed = false;

  private constructor(db: DatabaseSync, options: SqliteFileOptions) {
    this.#db = db;
    this.#options = options;
  }

  static async open(path: string, options: SqliteFileOptions): Promise<SqliteFile> {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // SQLite gives its log and index the mode of the main file.
    closeSync(openSync(path, 'a', 0o600));
    const db = new DatabaseSync(path, { timeout: BLOCK_MS_MAX, enableForeignKeyConstraints: true });
    const file = new SqliteFile(db, options);
    try {
      await file.#whenFree(() => {
        db.exec(
          `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${WAL_BYTES_MAX}; ${options.pragmas ?? ''}`,
        );
      });
      await file.#migrate(path);
    } catch (error) {
      db.close();
      throw error;
    }
    return file;
  }

  async #migrate(path: string): Promise<void> {
    const { migrations } = this.#options;
    if (this.#version() === migrations.length) return;
    await this.transact(() => {
      const version = this.#version();
      if (version > migrations.length) {
        throw new HeadwaterError(
          'CONFIG_INVALID',
          `the ledger ${path} has version ${version}, this Headwater knows ${migrations.length}`,
          { remedy: 'Use the newer Headwater that wrote this ledger.' },
        );
      }
      for (const migration of migrations.slice(version)) this.#db.exec(migration);
      this.#db.exec(`PRAGMA user_version = ${migrations.length}`);
    });
  }

  #version(): number {
    return integer(this.get('PRAGMA user_version') ?? {}, 'user_version');
  }

  /** BEGIN IMMEDIATE … COMMIT; rolled back when `work` throws. Waits for other processes without blocking this one. */
  async transact<T>(work: () => T, options: { relaxed?: boolean } = {}): Promise<T> {
    return await this.#whenFree(() => {
      this.#setRelaxed(options.relaxed === true);
      this.#db.exec('BEGIN IMMEDIATE');
      try {
        const result = work();
        this.#db.exec('COMMIT');
        return result;
      } catch (error) {
        // A full disk makes SQLite roll back by itself; a second ROLLBACK would hide the cause.
        if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
        throw error;
      }
    });
  }

  /** A read outside a transaction: sees one committed state per statement. */
  async read<T>(work: () => T): Promise<T> {
    return await this.#whenFree(work);
  }

  /** Several statements that must see one state. */
  async readTogether<T>(work: () => T): Promise<T> {
    return await this.#whenFree(() => {
      this.#db.exec('BEGIN');
      try {
        return work();
      } finally {
        this.#db.exec('ROLLBACK');
      }
    });
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values);
  }

  /** Rows as arrays in the order of their columns: for statements that run once per record. */
  list(sql: string, ...values: SQLInputValue[]): SQLOutputValue[][] {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- node:sqlite types `all` without regard to setReturnArrays.
    return this.#listStatement(sql).all(...values) as unknown as SQLOutputValue[][];
  }

  /** The first row as an array. */
  one(sql: string, ...values: SQLInputValue[]): SQLOutputValue[] | undefined {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as above, for `get`.
    return this.#listStatement(sql).get(...values) as unknown as SQLOutputValue[] | undefined;
  }

  /** Statements of constant text that return nothing. */
  exec(sql: string): void {
    this.#db.exec(sql);
  }

  /** The number of rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  close(): void {
    if (!this.#db.isOpen) return;
    this.#statements.clear();
    this.#lists.clear();
    this.#db.close();
  }

  #setRelaxed(relaxed: boolean): void {
    if (relaxed === this.#relaxed) return;
    this.#db.exec(`PRAGMA synchronous = ${relaxed ? 'NORMAL' : 'FULL'}`);
    this.#relaxed = relaxed;
  }

  /** Statement texts are constants of this folder, so the cache is bounded by them. */
  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #listStatement(sql: string): StatementSync {
    let statement = this.#lists.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      statement.setReturnArrays(true);
      this.#lists.set(sql, statement);
    }
    return statement;
  }

  async #whenFree<T>(work: () => T): Promise<T> {
    const deadline = performance.now() + this.#options.busyTimeoutMs;
    for (;;) {
      try {
        return work();
      } catch (error) {
        const code = primaryCode(error);
        if (code === SQLITE_FULL) {
          throw new HeadwaterError('STAGE_FULL', 'the disk of the ledger is full; nothing was changed', {
            cause: error,
          });
        }
        if (code !== SQLITE_BUSY) throw error;
        if (performance.now() >= deadline) {
          const waited = `${this.#options.busyTimeoutMs} ms`;
          throw new HeadwaterError('INTERNAL', `another process kept the ledger locked for ${waited}`, {
            cause: error,
          });
        }
      }
      await sleep(RETRY_MS);
    }
  }
}

/** The low byte is the primary code; extended codes say more than is needed here. */
function primaryCode(error: unknown): number | null {
  if (typeof error !== 'object' || error === null || !('errcode' in error)) return null;
  return typeof error.errcode === 'number' ? error.errcode & 0xff : null;
}
