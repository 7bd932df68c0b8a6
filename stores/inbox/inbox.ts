import type { InboxEvent } from '../../schemas/inbox.ts';
import type { Instant } from '../../schemas/instant.ts';
import type { Topic } from '../../schemas/topic.ts';

/** An event that waits, with its place in the queue. */
export interface InboxRow extends InboxEvent {
  position: number;
  acceptedAt: Instant;
  /** Tries so far. */
  attempts: number;
}

export interface InboxState {
  connection: string;
  /** Not settled; those that the profiles have already, and the warehouse not yet, too. */
  waiting: number;
  /** When the oldest of them was accepted; null: nothing waits. */
  oldestAt: Instant | null;
  /** Set aside after too many tries. */
  parked: number;
  /** When the last event was accepted, ever. */
  lastAt: Instant | null;
  /** When it last was certain that events arrive: that, or a word of a followed topic, whichever is later. */
  heardAt: Instant | null;
}

/** Events of one object that could not be dealt with so far. */
export interface InboxTrouble {
  object: string;
  /** Of the last try: a code. */
  reason: string;
  waiting: number;
  parked: number;
}

export interface Accepted {
  accepted: number;
  repeated: number;
  /** Of each event, in their order, of a repeated one that of the first. */
  positions: number[];
  /** Of each event: whether it was known. */
  repeats: boolean[];
}

/**
 * Accepted events, durable before the sender hears so, apart from every other store: bulk work never delays them. Several
 * processes work on one inbox at once.
 */
export interface Inbox {
  /**
   * Resolves once all of them are safe on disk; groups of callers share a commit. An event whose id its connection has had before
   * is not kept again. INBOX_FULL when `waitingMax` is reached, INBOX_UNAVAILABLE when it cannot be written: nothing was kept then.
   */
  accept(connection: string, events: readonly InboxEvent[]): Promise<Accepted>;
  /** Waiting events above the position, oldest first. Taking changes nothing: whoever dies leaves them waiting. */
  take(connection: string, after: number, limit: number): Promise<InboxRow[]>;
  /** The profiles have them: whoever waits for one reads on. They stay, and are taken again after a crash, until they are settled. */
  claimed(connection: string, positions: readonly number[]): Promise<void>;
  /** Dealt with: the values are removed, the ids stay for as long as repetitions are expected. */
  settle(connection: string, positions: readonly number[]): Promise<void>;
  /** One more try failed; from `attemptsMax` on they are parked with the reason (a code, never a value). Returns the parked. */
  fail(
    connection: string,
    positions: readonly number[],
    reason: string,
    attemptsMax: number,
  ): Promise<number>;
  /** Parked events wait again. The number of them. */
  retry(connection: string): Promise<number>;
  /** Whether the profiles have all of these (or they are parked). */
  settled(connection: string, positions: readonly number[]): Promise<boolean>;
  /**
   * Waiting events, accepted before this moment, that the profiles do not have yet, oldest first: what is known to have happened,
   * and was not read so far. Values of more than UNREAD_CHARS_MAX characters are null here.
   */
  unread(connection: string, before: Instant, limit: number): Promise<InboxRow[]>;
  /** At most 100 kinds, most events first. */
  troubles(connection: string): Promise<InboxTrouble[]>;
  /** Changes whenever anything was accepted, by whatever process; asking costs microseconds. */
  revision(): number;
  states(): Promise<InboxState[]>;
  /** Topics that connections follow, by connection and name: beside the events, so that a copy of the inbox has both alike. */
  topics(): Promise<Topic[]>;
  /** Replaces what was kept of this topic. */
  keepTopic(topic: Topic): Promise<void>;
  /** I5: whatever is kept of these records, waiting or not. */
  forget(connection: string, object: string, records: readonly string[]): Promise<void>;
  /** Ids of events that were dealt with before this moment are forgotten. The number removed. */
  prune(before: Instant): Promise<number>;
  close(): Promise<void>;
}
