import { randomUUID } from 'node:crypto';
import { HeadwaterError } from '../../rules/errors.ts';
import type { SinkState } from '../../schemas/sink.ts';
import { Checkpointer } from '../checkpointer.ts';
import { SqliteFile } from '../sqlite.ts';
import { GENESIS } from './chain.ts';
import type { Claims } from './claims.ts';
import type { Writes } from './engine/draft.ts';
import { runNow, type Program } from './engine/program.ts';
import { num } from './columns.ts';
import { HeadFile } from './sqlite/head-file.ts';
import { SqliteReads } from './sqlite/reads.ts';
import { MIGRATIONS } from './sqlite/schema.ts';
import { verify } from './sqlite/verify.ts';
import { pruneOutbox, write } from './sqlite/write.ts';
import { claimsOn, type Backend, type ClaimsOptions } from './store.ts';
import { Vault } from './vault.ts';

const BUSY_TIMEOUT_MS = 10_000;
const CACHE_KB = 128 * 1024;
const MAP_BYTES = 1024 ** 3;

/**
 * Overwritten values leave no trace in free space (I5). SQLite's own checkpoints come only when those
 * of the Checkpointer do not keep up.
 */
const PRAGMAS = `PRAGMA secure_delete = ON; PRAGMA cache_size = -${CACHE_KB}; PRAGMA mmap_size = ${MAP_BYTES};
  PRAGMA wal_autocheckpoint = 131072; PRAGMA temp_store = MEMORY`;

export interface SqliteClaimsOptions extends ClaimsOptions {
  /** `claims.db` in Headwater's home; the end of the chain is kept in `claims.head` beside it. */
  path: string;
  /** 32 bytes; see stores/claims/master-key.ts. CONFIG_INVALID when the store was written with another one. */
  masterKey: Buffer;
  /** How long a transaction waits for those of other processes. */
  busyTimeoutMs?: number;
}

/** The embedded store: one file of its own, mode 0600, for several processes at once. */
export async function openSqliteClaims(options: SqliteClaimsOptions): Promise<Claims> {
  const vault = new Vault(options.masterKey);
  const db = await SqliteFile.open(options.path, {
    busyTimeoutMs: options.busyTimeoutMs ?? BUSY_TIMEOUT_MS,
    migrations: MIGRATIONS,
    pragmas: PRAGMAS,
  });
  try {
    await db.transact(() => begin(db, vault));
    return await claimsOn(new SqliteBackend(db, options.path), vault, options);
  } catch (error) {
    db.close();
    throw error;
  }
}

function begin(db: SqliteFile, vault: Vault): void {
  const known = meta(db, 'key check');
  if (known === null) {
    db.run(`INSERT INTO head VALUES (1, 0, 0, 0, 0, 0, 0, ?, 0, 0)`, GENESIS);
    setMeta(db, 'key check', vault.keyCheck);
    setMeta(db, 'epoch', randomUUID());
    setMeta(db, 'seq', '0');
  } else if (known !== vault.keyCheck) {
    throw new HeadwaterError('CONFIG_INVALID', 'the claims were written with another master key', {
      remedy: 'Restore claims.key, or the secret that replaces it; without it no value can be read.',
    });
  }
}

function meta(db: SqliteFile, key: string): string | null {
  const value = db.one('SELECT value FROM meta WHERE key = ?', key)?.[0];
  return typeof value === 'string' ? value : null;
}

function setMeta(db: SqliteFile, key: string, value: string): void {
  db.run('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)', key, value);
}

class SqliteBackend implements Backend {
  readonly transactionMs = { alone: 15, shared: 8 };
  readonly #db: SqliteFile;
  readonly #reads: SqliteReads;
  readonly #headFile: HeadFile;
  readonly #checkpointer: Checkpointer;
  /** Something was committed that a power loss would take back. */
  #relaxed = false;

  constructor(db: SqliteFile, path: string) {
    this.#db = db;
    this.#reads = new SqliteReads(db);
    this.#headFile = new HeadFile(path);
    this.#checkpointer = new Checkpointer(path, () => {
      const [, frames, moved] = db.one('PRAGMA wal_checkpoint(NOOP)') ?? [];
      return { frames: num(frames), moved: num(moved) };
    });
  }

  async change<T>(
    program: () => Program<{ writes: Writes; result: T }>,
    { durable }: { durable: boolean },
  ): Promise<T> {
    const { writes, result } = await this.#db.transact(
      () => {
        const done = runNow(program(), this.#reads);
        write(this.#db, done.writes);
        // The log of changes is one file: a commit that waits for the disk waits for all before it.
        if (durable && this.#relaxed && done.writes.empty) this.#db.run('UPDATE head SET seq = seq');
        return done;
      },
      { relaxed: !durable },
    );
    this.#relaxed = durable ? false : this.#relaxed || !writes.empty;
    if (writes.link !== null) this.#headFile.raise(writes.link);
    if (!durable) await this.#checkpointer.relieve();
    return result;
  }

  async look<T>(program: () => Program<T>): Promise<T> {
    return await this.#db.readTogether(() => runNow(program(), this.#reads));
  }

  /** What takes a commit back takes this process with it. */
  takenBack(): number {
    return 0;
  }

  async moveCursor(consumer: string, position: number): Promise<void> {
    await this.#db.transact(() =>
      this.#db.run(
        `INSERT INTO cursors (consumer, position) VALUES (?1, ?2)
         ON CONFLICT (consumer) DO UPDATE SET position = max(position, ?2)`,
        ...[consumer, position],
      ),
    );
  }

  async pruneOutbox(after: number, rows: number): Promise<{ last: number | null; removed: number }> {
    return await this.#db.transact(() => pruneOutbox(this.#db, after, rows), { relaxed: true });
  }

  async sinkState(): Promise<SinkState> {
    return await this.#db.readTogether(() => this.#sinkState());
  }

  #sinkState(): SinkState {
    const [epoch, seq] = [meta(this.#db, 'epoch'), meta(this.#db, 'seq')];
    if (epoch === null || seq === null) throw new HeadwaterError('INTERNAL', 'the claims have no epoch');
    return { epoch, seq: Number(seq) };
  }

  async closeWindow(window: string, batches: readonly string[]): Promise<SinkState> {
    const state = await this.#db.transact(() => {
      const { epoch, seq } = this.#sinkState();
      if (this.#db.one('SELECT 1 FROM windows WHERE id = ?', window) !== undefined) {
        this.#db.run('UPDATE head SET seq = seq');
        return { epoch, seq };
      }
      this.#db.run(
        'INSERT INTO windows (id, batches, seq) VALUES (?, ?, ?)',
        ...[window, JSON.stringify(batches), seq + 1],
      );
      setMeta(this.#db, 'seq', String(seq + 1));
      return { epoch, seq: seq + 1 };
    });
    this.#relaxed = false;
    return state;
  }

  async scrub(): Promise<void> {
    // A reader of another process keeps the old log alive; it goes with the next checkpoint after that.
    await this.#db.read(() => this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)'));
  }

  async verify() {
    return await verify(this.#db, this.#headFile);
  }

  async close(): Promise<void> {
    await this.#checkpointer.close();
    this.#db.close();
  }
}
