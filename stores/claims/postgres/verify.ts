import type { PostgresPool, Transaction } from '../../postgres.ts';
import { batchRoot, GENESIS, linkHash, type ChainedEvent, type Link } from '../chain.ts';
import type { Verification } from '../claims.ts';
import { instantOf } from '../engine/history.ts';
import type { HeadFile } from '../sqlite/head-file.ts';
import { num, numOrNull, str, strOrNull } from '../columns.ts';
import { links } from './pages.ts';

const LINKS_PER_PAGE = 16;
const CAUSES = 'SELECT number, at, via, run, actor, reason FROM causes WHERE number = ANY ($1::bigint[])';
const EVENTS = `SELECT seq, id, kind, pid, rid, cause, confirmed, body FROM events
  WHERE seq BETWEEN $1 AND $2 ORDER BY seq`;

/** I4: walks the chain from its beginning; the first batch that does not fit is named. Stops nobody who writes. */
export async function verify(pool: PostgresPool, headFile: HeadFile): Promise<Verification> {
  const outside = headFile.read();
  const done: Verification = { ok: true, batches: 0, events: 0, head: GENESIS, brokenAt: null };
  let outsideSeen = outside === null;
  for (;;) {
    const after = done.batches;
    const page = await pool.read(async (tx) => await readPage(tx, after, done.events));
    for (const { link, root } of page.links) {
      const fits =
        link.number === done.batches + 1 &&
        link.firstSeq === done.events + 1 &&
        root === link.root &&
        linkHash(done.head, link) === link.hash;
      if (!fits) return broken(done);
      if (link.number === outside?.number) {
        if (link.hash !== outside.hash) return broken(done);
        outsideSeen = true;
      }
      done.batches += 1;
      done.events = link.lastSeq;
      done.head = link.hash;
    }
    if (page.links.length === LINKS_PER_PAGE) continue;
    // More than the chain knows, or less than was there before.
    return !outsideSeen || page.more ? broken(done) : done;
  }
}

const broken = (done: Verification): Verification => ({ ...done, ok: false, brokenAt: done.batches + 1 });

interface Page {
  links: { link: Link; root: string | null }[];
  /** Events that no link of this page or before it holds. */
  more: boolean;
}

async function readPage(tx: Transaction, after: number, seq: number): Promise<Page> {
  const found = await links(tx, after, LINKS_PER_PAGE);
  const last = found.at(-1)?.lastSeq ?? seq;
  const causes = new Map(
    (await tx.list(CAUSES, [...new Set(found.map(({ cause }) => cause))])).map(
      ([number, at, via, run, actor, reason]) => [
        num(number),
        {
          at: instantOf(num(at)),
          via: str(via),
          run: strOrNull(run),
          actor: strOrNull(actor),
          reason: strOrNull(reason),
        },
      ],
    ),
  );
  const events = (await tx.list(EVENTS, seq + 1, last)).map(
    ([number, id, kind, pid, rid, cause, confirmed, body]): ChainedEvent => ({
      seq: num(number),
      id: str(id),
      kind: num(kind),
      profile: numOrNull(pid),
      rid: numOrNull(rid),
      cause: num(cause),
      confirmed: numOrNull(confirmed),
      body: body instanceof Uint8Array ? body : null,
    }),
  );
  const bySeq = new Map(events.map((event) => [event.seq, event]));
  const [highest] = (await tx.one('SELECT coalesce(max(seq), 0) FROM events')) ?? [];
  return {
    links: found.map((link) => {
      const cause = causes.get(link.cause);
      const length = Math.max(0, link.lastSeq - link.firstSeq + 1);
      const own = Array.from({ length }, (_, index) => bySeq.get(link.firstSeq + index));
      const whole = own.filter((event) => event !== undefined);
      return { link, root: cause === undefined || whole.length < length ? null : batchRoot(cause, whole) };
    }),
    more: num(highest) > last,
  };
}
