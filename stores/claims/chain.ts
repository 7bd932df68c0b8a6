import { createHash, hash } from 'node:crypto';

/** What the chain covers of an event: everything that is stored of it, as ciphertext, so that shredding breaks nothing. */
export interface ChainedEvent {
  seq: number;
  id: string;
  kind: number;
  profile: number | null;
  rid: number | null;
  cause: number;
  confirmed: number | null;
  body: Uint8Array | null;
}

export interface Link {
  number: number;
  firstSeq: number;
  lastSeq: number;
  cause: number;
  root: string;
  hash: string;
}

/** Hash before the first batch. */
export const GENESIS = '0'.repeat(64);

/** Who and what: as much a part of the log as the events themselves. */
export interface ChainedCause {
  at: string;
  via: string;
  run: string | null;
  actor: string | null;
  reason: string | null;
}

/** I4: one hash over the events of a transaction, in order, and their cause. */
export function batchRoot(cause: ChainedCause, events: readonly ChainedEvent[]): string {
  const root = createHash('sha256');
  root.update(JSON.stringify([cause.at, cause.via, cause.run, cause.actor, cause.reason]));
  let heads = '';
  for (const { seq, id, kind, profile, rid, cause, confirmed, body } of events) {
    heads += `${seq}|${id}|${kind}|${profile ?? ''}|${rid ?? ''}|${cause}|${confirmed ?? ''}|${body?.length ?? 0}|`;
  }
  // What is said of all of them tells where each body ends.
  root.update(heads);
  for (const { body } of events) if (body !== null) root.update(body);
  return root.digest('hex');
}

/** I4: each batch names the one before it, so no batch can be changed, left out or put between. */
export function linkHash(previous: string, link: Omit<Link, 'hash'>): string {
  const { number, firstSeq, lastSeq, cause, root } = link;
  return hash('sha256', `${previous}|${number}|${firstSeq}|${lastSeq}|${cause}|${root}`, 'hex');
}
