import type { InboxEvent } from '../../../schemas/inbox.ts';
import type { Instant } from '../../../schemas/instant.ts';
import type { Transaction } from '../../postgres.ts';
import type { Verdict } from '../gather.ts';
import type { Accepted } from '../inbox.ts';
import { full } from '../limits.ts';

export interface Ask {
  connection: string;
  events: readonly InboxEvent[];
}

const MARK = 'json:';
/** Postgres holds no NUL in a text. */
export function written(text: string): string {
  return text.includes('\0') || text.startsWith(MARK) ? `${MARK}${JSON.stringify(text)}` : text;
}
export function asTold(text: string): string {
  const plain: unknown = text.startsWith(MARK) ? JSON.parse(text.slice(MARK.length)) : text;
  return String(plain);
}

const KNOWN = `SELECT e.connection, e.id, e.position FROM unnest($1::text[], $2::text[]) k (connection, id)
  JOIN inbox_events e ON e.connection = k.connection AND e.id = k.id`;
const INSERT = `INSERT INTO inbox_events (connection, id, object, record, kind, body, at, accepted)
  SELECT connection, id, object, record, kind, body, at, $8
  FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) WITH ORDINALITY
    k (connection, id, object, record, kind, body, at, place)
  ORDER BY place RETURNING connection, id, position`;
export const COUNT = `INSERT INTO inbox_connections (connection, waiting, parked, last) VALUES ($1, $2, $3, $4)
  ON CONFLICT (connection) DO UPDATE SET waiting = inbox_connections.waiting + excluded.waiting,
    parked = inbox_connections.parked + excluded.parked, last = coalesce(excluded.last, inbox_connections.last)`;

const nameOf = (connection: string, id: string) => `${connection} ${id}`;

interface Fresh {
  connection: string;
  event: InboxEvent;
}

/** All callers of one commit, who hold the lock: nobody else gives positions meanwhile, so they become visible in their order. */
export async function keepAll(
  tx: Transaction,
  asks: readonly Ask[],
  { waitingMax, now }: { waitingMax: number; now: Instant },
): Promise<Verdict<Accepted>[]> {
  const all = asks.flatMap(({ connection, events }) =>
    events.map(({ id }) => [connection, written(id)] as const),
  );
  const known = new Map<string, number>();
  const found = await tx.list(
    KNOWN,
    all.map(([connection]) => connection),
    all.map(([, id]) => id),
  );
  for (const [connection, id, position] of found)
    known.set(nameOf(String(connection), String(id)), Number(position));
  const [sum] = (await tx.one('SELECT coalesce(sum(waiting), 0)::bigint FROM inbox_connections')) ?? [];
  let waiting = Number(sum);
  const fresh = new Map<string, Fresh>();
  const counts = new Map<string, number>();
  // Who is refused is known before anything is written: the others' events are inserted at once.
  const plans = asks.map(({ connection, events }) => {
    const mine = new Map<string, Fresh>();
    const repeats: boolean[] = [];
    for (const event of events) {
      const name = nameOf(connection, written(event.id));
      const isKnown = known.has(name) || fresh.has(name) || mine.has(name);
      repeats.push(isKnown);
      if (!isKnown) mine.set(name, { connection, event });
    }
    if (mine.size > 0 && waiting + mine.size > waitingMax) return undefined;
    waiting += mine.size;
    for (const [name, one] of mine) fresh.set(name, one);
    if (mine.size > 0) counts.set(connection, (counts.get(connection) ?? 0) + mine.size);
    return { repeats, accepted: mine.size };
  });
  await insert(tx, [...fresh.values()], known, now);
  for (const [connection, count] of counts) await tx.run(COUNT, connection, count, 0, now);
  return asks.map(({ connection, events }, at): Verdict<Accepted> => {
    const plan = plans[at];
    if (plan === undefined) return { error: full(waiting) };
    const positions = events.map(({ id }) => known.get(nameOf(connection, written(id))) ?? 0);
    return { answer: { ...plan, repeated: events.length - plan.accepted, positions } };
  });
}

async function insert(
  tx: Transaction,
  fresh: readonly Fresh[],
  known: Map<string, number>,
  now: Instant,
): Promise<void> {
  if (fresh.length === 0) return;
  const column = <T>(of: (event: InboxEvent) => T) => fresh.map(({ event }) => of(event));
  const rows = await tx.list(
    INSERT,
    fresh.map(({ connection }) => connection),
    column(({ id }) => written(id)),
    column(({ object }) => written(object)),
    column(({ record }) => written(record)),
    column(({ kind }) => kind),
    column(({ values }) => (values === null ? null : JSON.stringify(values))),
    column(({ at }) => at),
    now,
  );
  for (const [connection, id, position] of rows)
    known.set(nameOf(String(connection), String(id)), Number(position));
}
