import { setImmediate as turn } from 'node:timers/promises';
import type { SqliteFile } from '../../sqlite.ts';
import { batchRoot, GENESIS, linkHash, type ChainedCause, type ChainedEvent, type Link } from '../chain.ts';
import type { Verification } from '../claims.ts';
import { instantOf } from '../engine/history.ts';
import { num, numOrNull, str, strOrNull } from '../columns.ts';
import type { HeadFile } from './head-file.ts';
import { links } from './pages.ts';

const LINKS_PER_PAGE = 16;
const CAUSE = 'SELECT at, via, run, actor, reason FROM causes WHERE number = ?';
const EVENTS =
  'SELECT seq, id, kind, pid, rid, cause, confirmed, body FROM events WHERE seq BETWEEN ? AND ? ORDER BY seq';

/** I4: walks the chain from its beginning; the first batch that does not fit is named. Lets others work in between. */
export async function verify(db: SqliteFile, headFile: HeadFile): Promise<Verification> {
  const outside = headFile.read();
  const done: Verification = { ok: true, batches: 0, events: 0, head: GENESIS, brokenAt: null };
  let seq = 0;
  let outsideSeen = outside === null;
  for (;;) {
    const after = done.batches;
    const page = await db.readTogether(() =>
      links(db, after, LINKS_PER_PAGE).map((link) => ({
        link,
        fits: fits(db, link, done.head, seq, (next) => {
          done.head = link.hash;
          seq = next;
        }),
      })),
    );
    for (const { link, fits: good } of page) {
      if (!good || link.number !== done.batches + 1) return broken(done, done.batches + 1);
      if (link.number === outside?.number) {
        if (link.hash !== outside.hash) return broken(done, link.number);
        outsideSeen = true;
      }
      done.batches += 1;
      done.events += link.lastSeq - link.firstSeq + 1;
    }
    if (page.length < LINKS_PER_PAGE) break;
    await turn();
  }
  const last = await db.read(() => num(db.one('SELECT max(seq) FROM events')?.[0] ?? 0));
  // More than the chain knows, or less than was there before.
  if (!outsideSeen || last > seq) return broken(done, done.batches + 1);
  return done;
}

const broken = (done: Verification, at: number): Verification => ({ ...done, ok: false, brokenAt: at });

function fits(
  db: SqliteFile,
  link: Link,
  previous: string,
  seq: number,
  advance: (seq: number) => void,
): boolean {
  const cause = db.one(CAUSE, link.cause);
  if (cause === undefined || link.firstSeq !== seq + 1) return false;
  const events = db
    .list(EVENTS, link.firstSeq, link.lastSeq)
    .map(([number, id, kind, pid, rid, of, confirmed, body]): ChainedEvent => ({
      seq: num(number),
      id: str(id),
      kind: num(kind),
      profile: numOrNull(pid),
      rid: numOrNull(rid),
      cause: num(of),
      confirmed: numOrNull(confirmed),
      body: body instanceof Uint8Array ? body : null,
    }));
  const [at, via, run, actor, reason] = cause;
  const said: ChainedCause = {
    at: instantOf(num(at)),
    via: str(via),
    run: strOrNull(run),
    actor: strOrNull(actor),
    reason: strOrNull(reason),
  };
  const good =
    events.length === link.lastSeq - link.firstSeq + 1 &&
    batchRoot(said, events) === link.root &&
    linkHash(previous, link) === link.hash;
  if (good) advance(link.lastSeq);
  return good;
}
