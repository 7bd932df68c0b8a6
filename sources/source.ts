import type { z } from 'zod';
import type { Mapping } from '../mapping/mapping.ts';
import type { InboxEvent } from '../schemas/inbox.ts';
import type { Instant } from '../schemas/instant.ts';
import type { FieldType, ObjectSchema } from '../schemas/object-schema.ts';
import type { Cursor, PageFormat } from '../schemas/page.ts';
import type { Quota } from '../schemas/quota.ts';
import type { Interval, Slice } from '../schemas/window.ts';

/** An object that the source has, and whether it can be synced; `reason` says why not. */
export interface ObjectListing {
  object: string;
  label: string;
  custom: boolean;
  syncable: boolean;
  reason?: string;
}

/** One line of `headwater check`. */
export interface CheckResult {
  check: string;
  ok: boolean;
  detail: string;
  remedy?: string;
}

/** What `plan` learns of one object with as few calls as the source allows. */
export interface Probe {
  object: string;
  /** Every change up to here is visible now: windows close at or before it. */
  visibleUntil: Instant;
  /** True only if the source proves that nothing in `[readFrom, visibleUntil)` changed or was deleted. */
  idle: boolean;
  /** Set when the source no longer remembers deletes back to the window's start: an id comparison is due. */
  deletionsKnownFrom?: Instant;
}

export interface ProbeRequest {
  object: string;
  /** The look-back is already taken off. */
  readFrom: Instant;
  until: Instant;
}

export interface ExtractRequest {
  schema: ObjectSchema;
  /** Rows with a stamp in `[readFrom, until)` are read; the window itself is `[from, until)`. ORIGIN: a first load. */
  from: Instant;
  readFrom: Instant;
  until: Instant;
}

export interface ExtractPlan {
  slices: Slice[];
  /** Rows stamped in `[from, until)` by the source's own count, deleted ones included. */
  countBefore: number | 'unknown';
}

/**
 * What the source sent, unchanged. `body` is consumed exactly once, before the next page is asked for; undefined when only
 * the cursor moved (a job was created). The cursor replays from after this page, and becomes valid once it is committed.
 * Row counts that the wire gives only with the last byte are read after the body has ended: hence a function.
 */
export interface RawPage {
  format: PageFormat;
  body: AsyncIterable<Uint8Array> | undefined;
  /** Rows that the source says are in this page; called after the body has been read to its end. */
  rowsSent: () => number;
  cursor: () => Cursor;
}

export interface ExtractContext {
  /** The last committed cursor of this slice, undefined at the first try. */
  after: Cursor | undefined;
  signal: AbortSignal;
  /** Called while nothing arrives (polling a job), so that the step stays alive: text for the operator. */
  onWait: (what: string) => void;
}

/** A version of a record, to compare windows without reading them. */
export interface RecordStamp {
  id: string;
  stamp: Instant;
  deleted: boolean;
}

/** One connected source system. Methods throw HeadwaterError only; every call is charged to the connection's token bucket. */
export interface Source {
  check(): Promise<CheckResult[]>;
  list(): Promise<ObjectListing[]>;
  describe(object: string): Promise<ObjectSchema>;
  /** One answer per request, in order. */
  probe(requests: ProbeRequest[], signal: AbortSignal): Promise<Probe[]>;
  plan(request: ExtractRequest): Promise<ExtractPlan>;
  extract(request: ExtractRequest, slice: Slice, context: ExtractContext): AsyncIterable<RawPage>;
  /** Rows stamped in the interval by the source's own count, deleted ones included. */
  count(schema: ObjectSchema, interval: Interval): Promise<number | 'unknown'>;
  /** Ids and stamps in the interval, deleted ones included: explains a count that moved. Ascending by stamp, id. */
  stamps(schema: ObjectSchema, interval: Interval, signal: AbortSignal): AsyncIterable<RecordStamp[]>;
  /**
   * Ids that the source's own list of changes names in the interval, which may be widened to whole minutes; a second witness
   * beside count and rows. Undefined when the source keeps no such list of this object.
   */
  changes?(object: string, interval: Interval, signal: AbortSignal): Promise<string[] | undefined>;
  /** Current versions of these records, as a json page; an id that is gone is simply absent. */
  fetch(schema: ObjectSchema, ids: string[], signal: AbortSignal): AsyncIterable<RawPage>;
  /** Ends whatever a cancelled slice left running in the source (a bulk job). */
  abandon(cursor: Cursor): Promise<void>;
  quota(): Promise<Quota | undefined>;
  /** Changes one record; absent where the source can only be read. */
  write?(request: WriteRequest, signal: AbortSignal): Promise<WriteReceipt>;
  close(): Promise<void>;
}

/** Fields by the source's names. Nothing is written when the record has moved since `unlessChangedSince`. */
export interface WriteRequest {
  schema: ObjectSchema;
  record: string;
  values: Readonly<Record<string, unknown>>;
  unlessChangedSince: Instant | null;
}

/**
 * written: read back; `stamp` is that of the new version. `adjusted`: fields that the source keeps in another form than they were
 * sent (a trigger, a telephone number). `former`: what they held before, null when nothing had to be written. moved: somebody
 * changed the record first, and nothing was written. refused: by a rule of the source, `code` and `field` are its own; retrying is
 * useless. Everything else is thrown as HeadwaterError.
 */
export type WriteReceipt =
  | {
      outcome: 'written';
      stamp: Instant;
      adjusted: string[];
      former: Readonly<Record<string, unknown>> | null;
    }
  | { outcome: 'moved'; stamp: Instant }
  | { outcome: 'refused'; code: string; field: string | null };

/** What arrived over HTTP. `url` is the public one, as the sender signed it; `headers` have names in lower case. */
export interface WebhookRequest {
  method: string;
  url: string;
  /** What followed the connection in the path, without a slash; empty where nothing did. */
  rest: string;
  headers: Readonly<Record<string, string | undefined>>;
  body: Buffer;
  nowMs: number;
}

/**
 * `leftOut`: events of the request that the connection does not sync, or that cannot be read. `reason` is for our log and never
 * repeats what was sent (I5).
 */
export type WebhookAnswer =
  | { ok: true; events: InboxEvent[]; leftOut: number; reply?: { contentType: string; body: string } }
  | { ok: false; status: 400 | 401; reason: string };

/** What a receiver knows of its connection, as written and with defaults of every kind; secrets are not resolved for it. */
export interface PushedConnection {
  objects: 'all' | readonly string[];
  exclude: readonly string[];
  own: Readonly<Record<string, unknown>>;
}

/** A record that a tool sent: taken, or why not, by the name of the field at fault. */
export type TakenRecord =
  | { ok: true; event: InboxEvent }
  | { ok: false; field: string | null; reason: string };

/** How a source pushes changes: proves who sent them, and reads them. Pure: nothing is fetched or kept. */
export interface WebhookKind<Config extends z.ZodType = z.ZodType> {
  /** Of `connections.<name>.webhooks`: `secrets`, resolved, and keys of this kind's own. */
  config: Config;
  receiver(
    config: z.output<Config>,
    connection: PushedConnection,
  ): (request: WebhookRequest) => WebhookAnswer;
  /**
   * Whole records of tools that cannot sign, after their key was checked. Undefined: the connection has no such object. Absent
   * where only the system itself pushes. `keyed`: the sender's own name of the request; one record told twice under it is one fact.
   */
  records?(
    connection: PushedConnection,
    object: string,
  ): ((record: unknown, keyed: string) => TakenRecord) | undefined;
}

/** A part of a topic, in its order. `position` may be kept once the events are safe. */
export interface TopicBatch {
  events: InboxEvent[];
  /** Behind the last of them; null: none was told. */
  position: string | null;
  /** Objects of which more has changed than is named; 'all': it is not even known of which. */
  unnamed: readonly string[] | 'all';
  /** Events of objects that the connection does not sync. */
  leftOut: number;
  /** Changes that we made ourselves. They are events like others: what the source did on top of ours is in them too. */
  own: number;
}

/** Topics that a source keeps for a while, over a connection that we open. */
export interface TopicReader {
  /**
   * Batches behind `after`, or from now on, without end: first an empty one, once the topic is open, and empty ones while nothing
   * changes. The source is asked for more only when the next is. Throws HeadwaterError only; POSITION_LOST when the source no
   * longer has what follows `after`. Ends when `signal` aborts.
   */
  read(topic: string, after: string | null, signal: AbortSignal): AsyncIterable<TopicBatch>;
  close(): Promise<void>;
}

/** How a source lets its changes be followed, where the connection's `webhooks` ask for it. */
export interface TopicKind<Webhooks extends z.ZodType = z.ZodType, Config extends z.ZodType = z.ZodType> {
  /** None: nothing is followed. */
  names(webhooks: z.output<Webhooks>): readonly string[];
  /** Secrets are resolved. Makes no call yet. */
  open(
    given: { config: z.output<Config>; webhooks: z.output<Webhooks>; pushed: PushedConnection },
    context: SourceContext,
  ): Promise<TopicReader>;
}

/** What a source needs from outside: the clock, the token bucket, a log line. All injectable for tests. */
export interface SourceContext {
  connection: string;
  now: () => number;
  /** Resolves when `calls` may be made now; throws QUOTA_EXHAUSTED when the stop line of the quota is reached. */
  acquire: (calls: number, signal?: AbortSignal) => Promise<void>;
  /** The source's own report of its quota, after any answer that carries one. */
  reportQuota: (quota: Quota) => void;
  log: (message: string, fields?: Record<string, string | number | boolean>) => void;
}

export interface SourceCapabilities {
  /** Deletes arrive with the rows (soft deletes) and as tombstones. */
  deletions: boolean;
  /** The path to the records in a json page, such as `records`. */
  jsonRecords: string;
  /** How a deleted record shows in rows; see ObjectSchema.deleted. */
  softDeletes: boolean;
  /** Calculated fields change without moving a record's stamp: they are read again by age (`refresh.formulas`). */
  silentFormulas?: boolean;
  /** Nothing can be read from it: its rows arrive by webhook or ingest alone, and no run or audit looks for them. */
  pushOnly?: boolean;
  /** Default look-back for late visible rows, ms. */
  lookbackMs: number;
  /** Default distance that a window's end keeps from the source's clock, ms. */
  lagMs: number;
}

/** A definition closes over its own config type: a registry is one line per system and needs no casts. */
/** A type as the source names it, and what it becomes here. Null: fields of it are left out, and `note` says why. */
export interface SourceType {
  name: string;
  type: FieldType | null;
  note?: string;
}

export interface SourceDefinition<Config extends z.ZodType = z.ZodType> {
  kind: string;
  config: Config;
  /** Every type that its documentation names; docs/types.md shows them in every warehouse. */
  types: readonly SourceType[];
  capabilities: SourceCapabilities;
  /** Ready mappings of standard objects to the shared entities; a configuration may replace each. */
  mappings?: Readonly<Record<string, readonly Mapping[]>>;
  /** Absent where the source cannot push. */
  webhooks?: WebhookKind;
  /** Absent where the source keeps no changes to be followed. */
  topics?: TopicKind;
  /** Secrets in `config` are resolved already. Makes no call yet. */
  connect(config: z.output<Config>, context: SourceContext): Source;
}

export function defineSource<Config extends z.ZodType>(
  definition: SourceDefinition<Config>,
): SourceDefinition<Config> {
  return definition;
}
