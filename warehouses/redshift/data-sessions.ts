import { isGone } from '../pg-errors.ts';
import type { Row } from '../pg-session.ts';
import type { RedshiftConfig } from './config.ts';
import { KEEP_ALIVE_S, openDataApi } from './data-api.ts';
import type { DataApi } from './data-api.ts';
import { setSql } from './server.ts';
import type { Access, Server, Transaction } from './server.ts';

/** One that idled for longer may end before its next statement arrives. */
const REUSE_MS_MAX = (KEEP_ALIVE_S * 1_000) / 2;

interface Session {
  id: string;
  usedMs: number;
}

interface Sessions {
  /** Waits for a free one. */
  lend<T>(work: (take: (fresh: boolean) => Promise<string>, drop: () => void) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Where there is no network path to the server: its sessions through the Data API. They end by themselves. */
export async function dataApiServer(config: RedshiftConfig): Promise<Server> {
  const api = await openDataApi(config);
  const sessions = poolOf(api, config.connectionsMax);
  return {
    transact: (transaction, { work, signal, last = false }) =>
      sessions.lend(async (take, drop) => {
        if (last) drop();
        signal?.throwIfAborted();
        const id = await begun(api, transaction, take);
        const run = (sql: string): Promise<unknown> => api.run(id, sql, [], signal);
        try {
          const own = Object.entries(transaction.settings).map(([name, value]) => setSql(name, value));
          for (const sql of [...own, ...transaction.before]) await run(sql);
          const result = await work(accessOf(api, id, signal));
          signal?.throwIfAborted();
          await run(transaction.end);
          return result;
        } catch (error) {
          // The first error is the one that counts. A session that cannot even roll back is given up.
          if (isGone(error)) drop();
          await api.run(id, 'ROLLBACK').catch(drop);
          throw error;
        }
      }),
    alone: (statements) =>
      sessions.lend(async (take, drop) => {
        drop();
        const id = await take(true);
        for (const sql of statements) await api.run(id, sql);
      }),
    close: async () => {
      await sessions.close();
      api.close();
    },
  };
}

/** The id of a session in which the transaction has begun. One that was used before may have ended: then another one. */
async function begun(
  api: DataApi,
  { begin }: Transaction,
  take: (fresh: boolean) => Promise<string>,
): Promise<string> {
  const used = await take(false);
  try {
    await api.run(used, begin);
    return used;
  } catch (error) {
    if (!isGone(error)) throw error;
  }
  const fresh = await take(true);
  await api.run(fresh, begin);
  return fresh;
}

function accessOf(api: DataApi, id: string, signal: AbortSignal | undefined): Access {
  return {
    rows: async (sql, values) => {
      const found: Row[] = [];
      for await (const { columns, rows } of api.parts(await api.run(id, sql, values, signal)))
        for (const row of rows)
          found.push(Object.fromEntries(columns.map(({ name }, at) => [name, row[at]])));
      return found;
    },
    run: async (sql, values) => (await api.run(id, sql, values, signal)).rows,
    /** The service runs the statement to its end, and keeps an answer of 500 MB at most. */
    select: async function* (sql, rowsMax) {
      let left = rowsMax;
      for await (const { columns, rows } of api.parts(await api.run(id, sql, [], signal))) {
        yield { columns, rows: rows.slice(0, left) };
        left -= rows.length;
        if (left <= 0) return;
      }
    },
  };
}

function poolOf(api: DataApi, sizeMax: number): Sessions {
  const free: Session[] = [];
  const waiting: (() => void)[] = [];
  let left = sizeMax;
  return {
    lend: async (work) => {
      if (left > 0) left -= 1;
      else await new Promise<void>((resolve) => waiting.push(resolve));
      let held: string | undefined;
      let isDropped = false;
      try {
        return await work(
          async (fresh) => {
            const found = fresh ? undefined : free.pop();
            const isAlive = found !== undefined && performance.now() - found.usedMs < REUSE_MS_MAX;
            held = isAlive ? found.id : await api.open();
            return held;
          },
          () => (isDropped = true),
        );
      } finally {
        if (held !== undefined && !isDropped) free.push({ id: held, usedMs: performance.now() });
        if (held !== undefined && isDropped) await api.end(held);
        // Whoever waits takes this place.
        const next = waiting.shift();
        if (next === undefined) left += 1;
        else next();
      }
    },
    close: async () => {
      await Promise.all(free.splice(0).map(({ id }) => api.end(id)));
    },
  };
}
