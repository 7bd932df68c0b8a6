import { HeadwaterError } from '../../rules/errors.ts';
import { inboxEventSchema, type InboxEvent } from '../../schemas/inbox.ts';
import type { Instant } from '../../schemas/instant.ts';
import { topicSchema, type Topic } from '../../schemas/topic.ts';
import { Checkpointer } from '../checkpointer.ts';
import { integer, json, text, textOrNull } from '../row.ts';
import { SqliteFile, type Row } from '../sqlite.ts';
import { Gathering, type Verdict } from './gather.ts';
import type { Accepted, Inbox, InboxRow, InboxState, InboxTrouble } from './inbox.ts';
import { full, later, PRUNE_ROWS_MAX, TROUBLES_MAX, unavailable, UNREAD_CHARS_MAX } from './limits.ts';
import { MIGRATIONS } from './schema.ts';

const BUSY_TIMEOUT_MS = 5_000;
/** 4 MB, and 64 MB of log. */
const LOG = { beginFrames: 1_024, waitFrames: 16 * 1_024 };
/** I5: values that were removed leave no trace in free space. SQLite's own checkpoints are behind those of the Checkpointer. */
const PRAGMAS = `PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = ${2 * LOG.waitFrames}`;

interface Ask {
  connection: string;
  events: readonly InboxEvent[];
}

export interface SqliteInboxOptions {
  path: string;
  /** Events of all connections that may wait. */
  waitingMax: number;
  busyTimeoutMs?: number;
  now?: () => Instant;
}

export async function openSqliteInbox(options: SqliteInboxOptions): Promise<Inbox> {
  const { path, busyTimeoutMs = BUSY_TIMEOUT_MS } = options;
  const file = await available(
    SqliteFile.open(path, {
      busyTimeoutMs,
      migrations: MIGRATIONS,
      pragmas: PRAGMAS,
    }),
  );
  return new SqliteInbox(file, options);
}

class SqliteInbox implements Inbox {
  readonly #file: SqliteFile;
  readonly #waitingMax: number;
  readonly #now: () => Instant;
  readonly #gathering: Gathering<Ask, Accepted>;
  readonly #checkpointer: Checkpointer;
  #version = -1;
  #revision = 0;

  constructor(
    file: SqliteFile,
    { path, waitingMax, now = () => new Date().toISOString() }: SqliteInboxOptions,
  ) {
    this.#file = file;
    this.#waitingMax = waitingMax;
    this.#now = now;
    this.#gathering = new Gathering((asks) => this.#keepAll(asks));
    const fill = () => {
      const [, frames, moved] = file.one('PRAGMA wal_checkpoint(NOOP)') ?? [];
      return { frames: Number(frames), moved: Number(moved) };
    };
    this.#checkpointer = new Checkpointer(path, fill, LOG);
  }

  async accept(connection: string, events: readonly InboxEvent[]): Promise<Accepted> {
    if (events.length === 0) return { accepted: 0, repeated: 0, positions: [], repeats: [] };
    return await this.#gathering.add({ connection, events }, events.length);
  }

  /** I2: one commit, synchronous=FULL; nobody hears of success before it. */
  async #keepAll(asks: readonly Ask[]): Promise<Verdict<Accepted>[]> {
    const verdicts = await available(
      this.#file.transact(() => {
        let waiting = integer(
          this.#file.get('SELECT coalesce(sum(waiting), 0) AS n FROM connections') ?? {},
          'n',
        );
        const now = this.#now();
        return asks.map((ask): Verdict<Accepted> => {
          const known = this.#known(ask);
          const fresh = new Set(ask.events.map(({ id }) => id)).size - known.size;
          if (fresh > 0 && waiting + fresh > this.#waitingMax) return { error: full(waiting) };
          waiting += fresh;
          return { answer: this.#keep(ask, known, fresh, now) };
        });
      }),
    );
    this.#revision += 1;
    await this.#checkpointer.relieve();
    return verdicts;
  }

  #known({ connection, events }: Ask): Map<string, number> {
    const known = new Map<string, number>();
    for (const { id } of events) {
      const row = this.#file.one(
        'SELECT position FROM events WHERE connection = ? AND id = ?',
        connection,
        id,
      );
      if (row !== undefined) known.set(id, Number(row[0]));
    }
    return known;
  }

  #keep({ connection, events }: Ask, known: Map<string, number>, fresh: number, now: Instant): Accepted {
    const repeats: boolean[] = [];
    const positions = events.map((event) => {
      repeats.push(known.has(event.id));
      const at = known.get(event.id) ?? this.#insert(connection, event, now);
      known.set(event.id, at);
      return at;
    });
    if (fresh > 0) this.#count(connection, fresh, 0, now);
    return { accepted: fresh, repeated: events.length - fresh, positions, repeats };
  }

  #insert(connection: string, event: InboxEvent, now: Instant): number {
    const row = this.#file.one(
      `INSERT INTO events (connection, id, object, record, kind, body, at, accepted)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING position`,
      ...[connection, event.id, event.object, event.record, event.kind],
      ...[event.values === null ? null : JSON.stringify(event.values), event.at, now],
    );
    return Number(row?.[0]);
  }

  /** Counters beside the events: asking for the backlog costs nothing at any length. */
  #count(connection: string, waiting: number, parked: number, last: Instant | null): void {
    this.#file.run(
      `INSERT INTO connections (connection, waiting, parked, last) VALUES (?1, ?2, ?3, ?4)
       ON CONFLICT (connection) DO UPDATE SET waiting = waiting + ?2, parked = parked + ?3, last = coalesce(?4, last)`,
      ...[connection, waiting, parked, last],
    );
  }

  async take(connection: string, after: number, limit: number): Promise<InboxRow[]> {
    const rows = await available(
      this.#file.read(() =>
        this.#file.all(
          `SELECT position, id, object, record, kind, body, at, accepted, attempts FROM events
           WHERE connection = ? AND state = 0 AND position > ? ORDER BY position LIMIT ?`,
          ...[connection, after, limit],
        ),
      ),
    );
    return rows.map(rowOf);
  }

  async claimed(connection: string, positions: readonly number[]): Promise<void> {
    await this.#change(() => {
      this.#file.run(
        `UPDATE events SET claimed = ?, reason = NULL WHERE connection = ? AND state = 0
         AND position IN (SELECT value FROM json_each(?))`,
        ...[this.#now(), connection, JSON.stringify(positions)],
      );
    });
  }

  async settle(connection: string, positions: readonly number[]): Promise<void> {
    await this.#change(() => {
      const list = JSON.stringify(positions);
      const where = 'connection = ? AND position IN (SELECT value FROM json_each(?))';
      const gone = `body = NULL, state = 1, settled = ?, reason = NULL WHERE ${where}`;
      const now = this.#now();
      const waiting = this.#file.run(`UPDATE events SET ${gone} AND state = 0`, now, connection, list);
      const parked = this.#file.run(`UPDATE events SET ${gone} AND state = 2`, now, connection, list);
      if (waiting + parked > 0) this.#count(connection, -waiting, -parked, null);
    });
  }

  async fail(
    connection: string,
    positions: readonly number[],
    reason: string,
    attemptsMax: number,
  ): Promise<number> {
    return await this.#change(() => {
      const list = JSON.stringify(positions);
      const where = 'connection = ? AND state = 0 AND position IN (SELECT value FROM json_each(?))';
      this.#file.run(
        `UPDATE events SET attempts = attempts + 1, reason = ? WHERE ${where}`,
        ...[reason, connection, list],
      );
      const parked = this.#file.run(
        `UPDATE events SET state = 2 WHERE ${where} AND attempts >= ?`,
        ...[connection, list, attemptsMax],
      );
      if (parked > 0) this.#count(connection, -parked, parked, null);
      return parked;
    });
  }

  async retry(connection: string): Promise<number> {
    const again = await this.#change(() => {
      const changed = this.#file.run(
        'UPDATE events SET state = 0, attempts = 0, reason = NULL WHERE connection = ? AND state = 2',
        connection,
      );
      if (changed > 0) this.#count(connection, changed, -changed, null);
      return changed;
    });
    this.#revision += 1;
    return again;
  }

  async settled(connection: string, positions: readonly number[]): Promise<boolean> {
    const row = await available(
      this.#file.read(() =>
        this.#file.get(
          `SELECT EXISTS (SELECT 1 FROM json_each(?) k CROSS JOIN events e ON e.position = k.value
           WHERE e.connection = ? AND e.state = 0 AND e.claimed IS NULL) AS waits`,
          ...[JSON.stringify(positions), connection],
        ),
      ),
    );
    return integer(row ?? {}, 'waits') === 0;
  }

  async unread(connection: string, before: Instant, limit: number): Promise<InboxRow[]> {
    const rows = await available(
      this.#file.read(() =>
        this.#file.all(
          `SELECT position, id, object, record, kind, at, accepted, attempts,
             CASE WHEN length(body) <= ${UNREAD_CHARS_MAX} THEN body END AS body FROM events
           WHERE connection = ? AND state = 0 AND claimed IS NULL AND accepted < ? ORDER BY position LIMIT ?`,
          ...[connection, before, limit],
        ),
      ),
    );
    return rows.map(rowOf);
  }

  async troubles(connection: string): Promise<InboxTrouble[]> {
    const rows = await available(
      this.#file.read(() =>
        this.#file.all(
          // Each half by the index of its state: settled events are many.
          `SELECT object, reason, sum(waiting) AS waiting, sum(parked) AS parked FROM (
             SELECT object, reason, 1 AS waiting, 0 AS parked FROM events WHERE connection = ?1 AND state = 0 AND reason IS NOT NULL
             UNION ALL SELECT object, reason, 0, 1 FROM events WHERE connection = ?1 AND state = 2 AND reason IS NOT NULL)
           GROUP BY object, reason ORDER BY count(*) DESC LIMIT ${TROUBLES_MAX}`,
          connection,
        ),
      ),
    );
    return rows.map((row) => ({
      ...{ object: text(row, 'object'), reason: text(row, 'reason') },
      ...{ waiting: integer(row, 'waiting'), parked: integer(row, 'parked') },
    }));
  }

  /** The file's own counter moves with other connections' commits only, hence ours beside it. */
  revision(): number {
    const version = integer(this.#file.get('PRAGMA data_version') ?? {}, 'data_version');
    if (version !== this.#version) this.#revision += 1;
    this.#version = version;
    return this.#revision;
  }

  async states(): Promise<InboxState[]> {
    const rows = await available(
      this.#file.read(() =>
        this.#file.all(
          `SELECT connection, waiting, parked, last,
             (SELECT max(heard) FROM topics t WHERE t.connection = c.connection) AS heard,
             (SELECT accepted FROM events e WHERE e.connection = c.connection AND state = 0 ORDER BY position LIMIT 1) AS oldest
           FROM connections c ORDER BY connection`,
        ),
      ),
    );
    return rows.map((row) => ({
      connection: text(row, 'connection'),
      waiting: integer(row, 'waiting'),
      oldestAt: textOrNull(row, 'oldest'),
      parked: integer(row, 'parked'),
      lastAt: textOrNull(row, 'last'),
      heardAt: later(textOrNull(row, 'last'), textOrNull(row, 'heard')),
    }));
  }

  async topics(): Promise<Topic[]> {
    const rows = await available(
      this.#file.read(() => this.#file.all('SELECT body FROM topics ORDER BY connection, topic')),
    );
    return rows.map((row) => json(topicSchema, text(row, 'body')));
  }

  async keepTopic(topic: Topic): Promise<void> {
    await this.#change(() => {
      this.#file.run(
        `INSERT INTO topics (connection, topic, heard, body) VALUES (?, ?, ?, ?)
         ON CONFLICT (connection, topic) DO UPDATE SET heard = excluded.heard, body = excluded.body`,
        ...[topic.connection, topic.topic, topic.heardAt, JSON.stringify(topic)],
      );
      this.#count(topic.connection, 0, 0, null);
    });
  }

  async forget(connection: string, object: string, records: readonly string[]): Promise<void> {
    await this.#change(() => {
      const gone = this.#file.all(
        `DELETE FROM events WHERE connection = ? AND object = ? AND record IN (SELECT value FROM json_each(?))
         RETURNING state`,
        ...[connection, object, JSON.stringify(records)],
      );
      const waiting = gone.filter(({ state }) => state === 0).length;
      const parked = gone.filter(({ state }) => state === 2).length;
      if (waiting + parked > 0) this.#count(connection, -waiting, -parked, null);
    });
    // I5: the log still holds the pages as they were; a reader may keep it for a moment, and later commits write over it.
    await available(this.#file.read(() => this.#file.all('PRAGMA wal_checkpoint(TRUNCATE)')));
  }

  async prune(before: Instant): Promise<number> {
    let removed = 0;
    for (;;) {
      const part = await this.#change(() =>
        this.#file.run(
          `DELETE FROM events WHERE position IN
             (SELECT position FROM events WHERE state = 1 AND settled < ? LIMIT ${PRUNE_ROWS_MAX})`,
          before,
        ),
      );
      removed += part;
      if (part < PRUNE_ROWS_MAX) return removed;
    }
  }

  async close(): Promise<void> {
    await this.#gathering.drain();
    await this.#checkpointer.close();
    this.#file.close();
  }

  async #change<T>(work: () => T): Promise<T> {
    const result = await available(this.#file.transact(work));
    await this.#checkpointer.relieve();
    return result;
  }
}

function rowOf(row: Row): InboxRow {
  const body = textOrNull(row, 'body');
  const event = inboxEventSchema.parse({
    ...{ id: row['id'], object: row['object'], record: row['record'], kind: row['kind'], at: row['at'] },
    values: body === null ? null : JSON.parse(body),
  });
  return {
    ...event,
    position: integer(row, 'position'),
    acceptedAt: text(row, 'accepted'),
    attempts: integer(row, 'attempts'),
  };
}

/** I5: SQLite's own message may repeat a value, so only its code is passed on. */
async function available<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof HeadwaterError && error.code === 'CONFIG_INVALID') throw error;
    const code = error instanceof HeadwaterError ? error.code : sqliteCode(error);
    throw unavailable(code);
  }
}

function sqliteCode(error: unknown): string {
  if (typeof error !== 'object' || error === null) return 'unknown';
  if ('errcode' in error) return `SQLite ${String(error.errcode)}`;
  return 'code' in error ? String(error.code) : 'unknown';
}
