import { randomUUID } from 'node:crypto';
import { HeadwaterError } from '../../rules/errors.ts';
import type { SinkState } from '../../schemas/sink.ts';
import { migrate, PostgresPool, type Transaction } from '../postgres.ts';
import { explained, isGone } from '../postgres-errors.ts';
import { GENESIS, type Link } from './chain.ts';
import type { Claims } from './claims.ts';
import type { Writes } from './engine/draft.ts';
import { runLater, type Program } from './engine/program.ts';
import { headRow, num, str } from './columns.ts';
import { HEAD } from './postgres/columns.ts';
import { Known, OBJECTS, PostgresReads, RULES_NOW } from './postgres/reads.ts';
import { MIGRATIONS } from './postgres/schema.ts';
import { verify } from './postgres/verify.ts';
import { scriptOf } from './postgres/write.ts';
import { HeadFile } from './sqlite/head-file.ts';
import { claimsOn, type Backend, type ClaimsOptions } from './store.ts';
import { Vault } from './vault.ts';

const READERS_MAX = 4;
/** Every question has an index for its answer, and generic plans cannot know how much an array holds. */
const SETTINGS = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_hashjoin: 'off',
  enable_mergejoin: 'off',
};
const LOCK = `SELECT ${HEAD} FROM claims_head FOR UPDATE`;
/** The last three statements answer what nearly every program asks first. */
const KNOWN = `${LOCK}; ${OBJECTS}; ${RULES_NOW}`;
const BEGIN = `BEGIN; ${KNOWN}`;
const BEGIN_RELAXED = `BEGIN; SET LOCAL synchronous_commit = off; ${KNOWN}`;
/** Up to the slowest consumer; what none has begun to read stays. */
const PRUNE_UNTIL = `SELECT max(position) FROM (SELECT position FROM outbox WHERE position > $1 AND position <=
  (SELECT min(position) FROM cursors WHERE strpos(consumer, '/') = 0) ORDER BY position LIMIT $2) AS next`;
const PRUNE = `DELETE FROM outbox o USING profiles p WHERE o.position > $1 AND o.position <= $2 AND p.pid = o.pid
  AND p.version > o.version RETURNING o.position`;
const SCRUBBED = ['records', 'identifiers', 'edges'];

export interface PostgresClaimsOptions extends ClaimsOptions {
  /** I5: a secret; see stores/postgres.ts. */
  url: string;
  schema: string;
  /** The end of the chain is kept in this file too, outside the database: `claims-postgres.head` in Headwater's home. */
  headPath: string;
  /** 32 bytes; see stores/claims/master-key.ts. CONFIG_INVALID when the store was written with another one. */
  masterKey: Buffer;
  /** INPUT_INVALID instead of making it. */
  existing?: boolean;
}

/** The store for several machines: tables of one schema, beside the ledger's. */
export async function openPostgresClaims(options: PostgresClaimsOptions): Promise<Claims> {
  const { url, schema, headPath } = options;
  const vault = new Vault(options.masterKey);
  const settings = SETTINGS;
  const writer = new PostgresPool({ url, schema, connectionsMax: 1, settings });
  const readers = new PostgresPool({ url, schema, connectionsMax: READERS_MAX, settings });
  const backend = new PostgresBackend(writer, readers, new HeadFile(headPath.replace(/\.head$/, '')));
  try {
    await migrate(writer, 'claims', MIGRATIONS, options.existing);
    await writer.transact(async (tx) => await begin(tx, vault));
    return await claimsOn(backend, vault, options);
  } catch (error) {
    await backend.close();
    throw error;
  }
}

async function begin(tx: Transaction, vault: Vault): Promise<void> {
  const values = [GENESIS];
  await tx.run(
    'INSERT INTO claims_head VALUES (1, 0, 0, 0, 0, 0, 0, $1, 0, 0) ON CONFLICT DO NOTHING',
    ...values,
  );
  await tx.one(LOCK);
  const known = await meta(tx, 'key check');
  if (known === null) {
    await setMeta(tx, 'key check', vault.keyCheck);
    await setMeta(tx, 'epoch', randomUUID());
    await setMeta(tx, 'seq', '0');
  } else if (known !== vault.keyCheck) {
    throw new HeadwaterError('CONFIG_INVALID', 'the claims were written with another master key', {
      remedy: 'Restore claims.key, or the secret that replaces it; without it no value can be read.',
    });
  }
}

async function meta(tx: Transaction, key: string): Promise<string | null> {
  const row = await tx.one('SELECT value FROM claims_meta WHERE key = $1', key);
  return row === undefined ? null : str(row[0]);
}

async function setMeta(tx: Transaction, key: string, value: string): Promise<void> {
  await tx.run(
    'INSERT INTO claims_meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    ...[key, value],
  );
}

async function readSinkState(tx: Transaction): Promise<SinkState> {
  const [epoch, seq] = [await meta(tx, 'epoch'), await meta(tx, 'seq')];
  if (epoch === null || seq === null) throw new HeadwaterError('INTERNAL', 'the claims have no epoch');
  return { epoch, seq: Number(seq) };
}

/**
 * One writer at a time holds the head's row, from its first read to its commit: the numbers and the chain's end are in it, so two
 * that decide at once could never both be right. Whoever waits is served in turn.
 */
class PostgresBackend implements Backend {
  /** Some 4 ms are round trips, whatever the rows; the first single record after a pause may wait for a long one. */
  readonly transactionMs = { alone: 40, shared: 12 };
  readonly #writer: PostgresPool;
  readonly #readers: PostgresPool;
  readonly #headFile: HeadFile;
  readonly #known = new Known();
  /** Something was committed that a crash of the server would take back. */
  #relaxed = false;
  /** The newest link that no crash can take back any more goes into the file. */
  #lastLink: Link | null = null;
  #taken = 0;

  constructor(writer: PostgresPool, readers: PostgresPool, headFile: HeadFile) {
    this.#writer = writer;
    this.#readers = readers;
    this.#headFile = headFile;
  }

  async change<T>(
    program: () => Program<{ writes: Writes; result: T }>,
    { durable, meanwhile }: { durable: boolean; meanwhile?: () => void },
  ): Promise<T> {
    return await this.#writing(async (tx) => {
      const [head, objects = [], rules = []] = (await tx.several(durable ? BEGIN : BEGIN_RELAXED)).slice(-3);
      const reads = new PostgresReads(tx, this.#known, { head: headRow(head?.[0]), objects, rules });
      const { writes, result } = await runLater(program(), reads);
      if (writes.empty && !(durable && this.#relaxed)) {
        await tx.several('COMMIT');
        return result;
      }
      await this.#commit(tx, writes, meanwhile);
      this.#relaxed = !durable;
      this.#lastLink = writes.link ?? this.#lastLink;
      if (durable) this.#raise();
      return result;
    });
  }

  /** A commit without an answer has happened when its link is in the chain; without a link, a repetition changes nothing more. */
  async #commit(tx: Transaction, writes: Writes, meanwhile?: () => void): Promise<void> {
    const { statements, rows } = scriptOf(writes);
    try {
      await tx.script([...statements, 'COMMIT'].join(';\n'), rows, meanwhile);
    } catch (error) {
      if (!isGone(error)) throw error;
      const { link } = writes;
      if (link === null) throw error;
      const found = await this.#readers.read(
        async (reader) => await reader.one('SELECT hash FROM batches WHERE number = $1', link.number),
      );
      if (found?.[0] !== link.hash) throw error;
    }
  }

  /** Work on the writer's connection; a crash in the middle of a series of relaxed commits is counted. */
  async #writing<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await this.#writer.connected(async (tx) => {
      if (this.#writer.losses !== this.#lossesSeen) {
        this.#lossesSeen = this.#writer.losses;
        if (this.#relaxed) this.#taken += 1;
        this.#relaxed = false;
        this.#lastLink = null;
      }
      return await work(tx);
    });
  }
  #lossesSeen = 0;

  takenBack(): number {
    return this.#taken;
  }

  #raise(): void {
    if (this.#lastLink !== null) this.#headFile.raise(this.#lastLink);
    this.#lastLink = null;
  }

  async look<T>(program: () => Program<T>): Promise<T> {
    return await this.#readers.read(
      async (tx) => await runLater(program(), new PostgresReads(tx, this.#known, null)),
    );
  }

  async moveCursor(consumer: string, position: number): Promise<void> {
    await this.#readers.transact(
      async (tx) =>
        await tx.run(
          `INSERT INTO cursors AS old (consumer, position) VALUES ($1, $2)
           ON CONFLICT (consumer) DO UPDATE SET position = greatest(old.position, excluded.position)`,
          ...[consumer, position],
        ),
    );
  }

  async pruneOutbox(after: number, rows: number): Promise<{ last: number | null; removed: number }> {
    return await this.#readers.transact(async (tx) => {
      const [last] = (await tx.one(PRUNE_UNTIL, after, rows)) ?? [];
      if (typeof last !== 'number') return { last: null, removed: 0 };
      return { last, removed: (await tx.list(PRUNE, after, last)).length };
    });
  }

  async sinkState(): Promise<SinkState> {
    return await this.#readers.read(readSinkState);
  }

  async closeWindow(window: string, batches: readonly string[]): Promise<SinkState> {
    return await this.#writing(async (tx) => {
      await tx.several(BEGIN);
      const { epoch, seq } = await readSinkState(tx);
      const row = await tx.one('SELECT seq FROM claims_windows WHERE id = $1', window);
      const known = row === undefined ? null : num(row[0]);
      if (known === null) {
        await tx.run(
          'INSERT INTO claims_windows (id, batches, seq) VALUES ($1, $2, $3)',
          ...[window, JSON.stringify(batches), seq + 1],
        );
        await setMeta(tx, 'seq', String(seq + 1));
      } else await tx.run('UPDATE claims_head SET seq = seq');
      await tx.several('COMMIT').catch((error: unknown) => {
        throw explained(error);
      });
      this.#relaxed = false;
      this.#raise();
      return { epoch, seq: known === null ? seq + 1 : seq };
    });
  }

  /** Removes old versions of rows from the tables. It does not reach the server's log, its replicas and its backups. */
  async scrub(): Promise<void> {
    await this.#readers.connected(
      async (tx) => await tx.several(`VACUUM (INDEX_CLEANUP on, TRUNCATE off) ${SCRUBBED.join(', ')}`),
    );
  }

  async verify() {
    return await verify(this.#readers, this.#headFile);
  }

  async close(): Promise<void> {
    await Promise.all([this.#writer.close(), this.#readers.close()]);
  }
}
