import { HeadwaterError } from '../../rules/errors.ts';
import { inboxEventSchema, type InboxEvent } from '../../schemas/inbox.ts';
import type { Instant } from '../../schemas/instant.ts';
import { topicSchema, type Topic } from '../../schemas/topic.ts';
import { codeOf } from '../postgres-errors.ts';
import { migrate, PostgresPool, type Transaction } from '../postgres.ts';
import { integer, json, text, textOrNull, type Row } from '../row.ts';
import { Gathering } from './gather.ts';
import type { Accepted, Inbox, InboxRow, InboxState, InboxTrouble } from './inbox.ts';
import { later, PRUNE_ROWS_MAX, TROUBLES_MAX, unavailable, UNREAD_CHARS_MAX } from './limits.ts';
import { Bell } from './postgres/bell.ts';
import { asTold, COUNT, keepAll, written, type Ask } from './postgres/keep.ts';
import { MIGRATIONS } from './postgres/schema.ts';

const CONNECTIONS_MAX = 3;
/** Senders give up after some seconds: they are told sooner. What is committed after that is known when they come again. */
const ANSWER_MS_MAX = 3_000;

export interface PostgresInboxOptions {
  /** I5: a secret; see stores/postgres.ts. */
  url: string;
  schema: string;
  waitingMax: number;
  /** INPUT_INVALID instead of making it. */
  existing?: boolean;
  now?: () => Instant;
}

/** The inbox of several machines: one listener dies, another takes what its senders send again. */
export async function openPostgresInbox(options: PostgresInboxOptions): Promise<Inbox> {
  const { url, schema, existing = false } = options;
  const pool = new PostgresPool({
    url,
    schema,
    connectionsMax: CONNECTIONS_MAX,
    settings: { synchronous_commit: 'on' },
  });
  const bell = new Bell(url, `headwater_inbox_${schema}`.slice(0, 63));
  try {
    await migrate(pool, 'inbox', MIGRATIONS, existing);
    await bell.open();
  } catch (error) {
    await bell.close();
    await pool.close();
    throw error;
  }
  return new PostgresInbox(pool, bell, options);
}

class PostgresInbox implements Inbox {
  readonly #pool: PostgresPool;
  readonly #bell: Bell;
  readonly #begin: string;
  readonly #ring: string;
  readonly #now: () => Instant;
  readonly #gathering: Gathering<Ask, Accepted>;

  constructor(pool: PostgresPool, bell: Bell, options: PostgresInboxOptions) {
    const { waitingMax, now = () => new Date().toISOString() } = options;
    const { schema } = pool;
    this.#pool = pool;
    this.#bell = bell;
    this.#now = now;
    // Positions become visible in their order, or a reader would pass over one that is committed late.
    this.#begin = `BEGIN; SELECT pg_advisory_xact_lock(hashtext('headwater inbox'), hashtext('${schema}'))`;
    this.#ring = `SELECT pg_notify('${`headwater_inbox_${schema}`.slice(0, 63)}', '')`;
    this.#gathering = new Gathering(async (asks) => {
      const kept = pool.transact(async (tx) => {
        const verdicts = await keepAll(tx, asks, { waitingMax, now: this.#now() });
        await tx.several(this.#ring);
        return verdicts;
      }, this.#begin);
      const verdicts = await inTime(available(kept));
      bell.ring();
      return verdicts;
    });
  }

  async accept(connection: string, events: readonly InboxEvent[]): Promise<Accepted> {
    if (events.length === 0) return { accepted: 0, repeated: 0, positions: [], repeats: [] };
    return await this.#gathering.add({ connection, events }, events.length);
  }

  async take(connection: string, after: number, limit: number): Promise<InboxRow[]> {
    const rows = await this.#read((tx) =>
      tx.all(
        `SELECT position, id, object, record, kind, body, at, accepted, attempts FROM inbox_events
         WHERE connection = $1 AND state = 0 AND position > $2 ORDER BY position LIMIT $3`,
        ...[connection, after, limit],
      ),
    );
    return rows.map(rowOf);
  }

  async claimed(connection: string, positions: readonly number[]): Promise<void> {
    await this.#change((tx) =>
      tx.run(
        `UPDATE inbox_events SET claimed = $1, reason = NULL WHERE connection = $2 AND state = 0
         AND position = ANY ($3::bigint[])`,
        ...[this.#now(), connection, positions],
      ),
    );
  }

  async settle(connection: string, positions: readonly number[]): Promise<void> {
    await this.#change(async (tx) => {
      const gone = `UPDATE inbox_events SET body = NULL, state = 1, settled = $1, reason = NULL
        WHERE connection = $2 AND position = ANY ($3::bigint[])`;
      const waiting = await tx.run(`${gone} AND state = 0`, this.#now(), connection, positions);
      const parked = await tx.run(`${gone} AND state = 2`, this.#now(), connection, positions);
      await count(tx, connection, -waiting, -parked);
    });
  }

  async fail(
    connection: string,
    positions: readonly number[],
    reason: string,
    attemptsMax: number,
  ): Promise<number> {
    return await this.#change(async (tx) => {
      const where = 'connection = $1 AND state = 0 AND position = ANY ($2::bigint[])';
      await tx.run(
        `UPDATE inbox_events SET attempts = attempts + 1, reason = $3 WHERE ${where}`,
        ...[connection, positions, reason],
      );
      const parked = await tx.run(
        `UPDATE inbox_events SET state = 2 WHERE ${where} AND attempts >= $3`,
        ...[connection, positions, attemptsMax],
      );
      await count(tx, connection, -parked, parked);
      return parked;
    });
  }

  async retry(connection: string): Promise<number> {
    const again = await this.#change(async (tx) => {
      const changed = await tx.run(
        'UPDATE inbox_events SET state = 0, attempts = 0, reason = NULL WHERE connection = $1 AND state = 2',
        connection,
      );
      await count(tx, connection, changed, -changed);
      await tx.several(this.#ring);
      return changed;
    });
    this.#bell.ring();
    return again;
  }

  async settled(connection: string, positions: readonly number[]): Promise<boolean> {
    const row = await this.#read((tx) =>
      tx.one(
        `SELECT EXISTS (SELECT 1 FROM inbox_events WHERE position = ANY ($2::bigint[]) AND connection = $1
           AND state = 0 AND claimed IS NULL)`,
        ...[connection, positions],
      ),
    );
    return row?.[0] === false;
  }

  async unread(connection: string, before: Instant, limit: number): Promise<InboxRow[]> {
    const rows = await this.#read((tx) =>
      tx.all(
        `SELECT position, id, object, record, kind, at, accepted, attempts,
           CASE WHEN length(body) <= ${UNREAD_CHARS_MAX} THEN body END AS body FROM inbox_events
         WHERE connection = $1 AND state = 0 AND claimed IS NULL AND accepted < $2 ORDER BY position LIMIT $3`,
        ...[connection, before, limit],
      ),
    );
    return rows.map(rowOf);
  }

  async troubles(connection: string): Promise<InboxTrouble[]> {
    const rows = await this.#read((tx) =>
      tx.all(
        `SELECT object, reason, count(*) FILTER (WHERE state = 0) AS waiting, count(*) FILTER (WHERE state = 2) AS parked
         FROM inbox_events WHERE connection = $1 AND state IN (0, 2) AND reason IS NOT NULL
         GROUP BY object, reason ORDER BY count(*) DESC LIMIT ${TROUBLES_MAX}`,
        connection,
      ),
    );
    return rows.map((row) => ({
      ...{ object: asTold(text(row, 'object')), reason: text(row, 'reason') },
      ...{ waiting: integer(row, 'waiting'), parked: integer(row, 'parked') },
    }));
  }

  revision(): number {
    return this.#bell.rings;
  }

  async states(): Promise<InboxState[]> {
    const rows = await this.#read((tx) =>
      tx.all(
        `SELECT connection, waiting, parked, last,
           (SELECT max(heard) FROM inbox_topics t WHERE t.connection = c.connection) AS heard,
           (SELECT accepted FROM inbox_events e WHERE e.connection = c.connection AND state = 0 ORDER BY position LIMIT 1) AS oldest
         FROM inbox_connections c ORDER BY connection`,
      ),
    );
    return rows.map((row) => ({
      ...{
        connection: text(row, 'connection'),
        waiting: integer(row, 'waiting'),
        parked: integer(row, 'parked'),
      },
      ...{ oldestAt: textOrNull(row, 'oldest'), lastAt: textOrNull(row, 'last') },
      heardAt: later(textOrNull(row, 'last'), textOrNull(row, 'heard')),
    }));
  }

  async topics(): Promise<Topic[]> {
    const rows = await this.#read((tx) => tx.all('SELECT body FROM inbox_topics ORDER BY connection, topic'));
    return rows.map((row) => json(topicSchema, text(row, 'body')));
  }

  async keepTopic(topic: Topic): Promise<void> {
    await this.#change(async (tx) => {
      await tx.run(
        `INSERT INTO inbox_topics (connection, topic, heard, body) VALUES ($1, $2, $3, $4)
         ON CONFLICT (connection, topic) DO UPDATE SET heard = excluded.heard, body = excluded.body`,
        ...[topic.connection, topic.topic, topic.heardAt, JSON.stringify(topic)],
      );
      await tx.run(COUNT, topic.connection, 0, 0, null);
    });
  }

  /** I5: the server's own log and its dead rows go with its next checkpoints and vacuum (docs/erasure.md). */
  async forget(connection: string, object: string, records: readonly string[]): Promise<void> {
    await this.#change(async (tx) => {
      const gone = await tx.list(
        `DELETE FROM inbox_events WHERE connection = $1 AND object = $2 AND record = ANY ($3::text[]) RETURNING state`,
        ...[connection, written(object), records.map(written)],
      );
      const of = (state: number) => gone.filter(([one]) => one === state).length;
      await count(tx, connection, -of(0), -of(2));
    });
  }

  async prune(before: Instant): Promise<number> {
    let removed = 0;
    for (;;) {
      const part = await this.#change((tx) =>
        tx.run(
          `DELETE FROM inbox_events WHERE position IN
             (SELECT position FROM inbox_events WHERE state = 1 AND settled < $1 LIMIT ${PRUNE_ROWS_MAX})`,
          before,
        ),
      );
      removed += part;
      if (part < PRUNE_ROWS_MAX) return removed;
    }
  }

  async close(): Promise<void> {
    await this.#gathering.drain();
    await this.#bell.close();
    await this.#pool.close();
  }

  async #read<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await available(this.#pool.connected(work));
  }

  async #change<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return await available(this.#pool.transact(work, this.#begin));
  }
}

async function count(tx: Transaction, connection: string, waiting: number, parked: number): Promise<void> {
  if (waiting !== 0 || parked !== 0) await tx.run(COUNT, connection, waiting, parked, null);
}

function rowOf(row: Row): InboxRow {
  const body = textOrNull(row, 'body');
  const event = inboxEventSchema.parse({
    ...{
      id: asTold(text(row, 'id')),
      object: asTold(text(row, 'object')),
      record: asTold(text(row, 'record')),
    },
    ...{ kind: row['kind'], at: row['at'], values: body === null ? null : JSON.parse(body) },
  });
  const [position, attempts] = [integer(row, 'position'), integer(row, 'attempts')];
  return { ...event, position, acceptedAt: text(row, 'accepted'), attempts };
}

async function available<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw unavailable(error instanceof HeadwaterError ? error.code : codeOf(error));
  }
}

/** I2: late is not kept, as far as the sender hears; it comes again, and then the event is known. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(unavailable('no answer in time')), ANSWER_MS_MAX);
  });
  // What comes after the answer is nobody's.
  work.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
