// What the steps share: the stores, the warehouse, the sources. Wired once per worker, faked in tests.
import type { Mapping } from '../mapping/mapping.ts';
import type { PhoneNormaliser } from '../mapping/normalise.ts';
import type { Interest } from '../rules/notice.ts';
import type { AuditPolicy } from '../schemas/audit.ts';
import type { ConflictRules } from '../schemas/conflicts.ts';
import type { Entity } from '../schemas/entities/entity.ts';
import type { Owner } from '../schemas/window.ts';
import type { CallClass } from '../schemas/quota.ts';
import type { RefreshPolicy } from '../schemas/refresh.ts';
import type { Shaper } from '../shaper/shaper.ts';
import type { Source, SourceCapabilities } from '../sources/source.ts';
import type { Claims } from '../stores/claims/claims.ts';
import type { Inbox } from '../stores/inbox/inbox.ts';
import type { BucketPolicy, Ledger } from '../stores/ledger/ledger.ts';
import type { Stage } from '../stores/stage/stage.ts';
import type { EvolutionPolicy, Warehouse } from '../warehouses/warehouse.ts';
import type { Copy } from './copies.ts';
import type { Lanes } from './lanes.ts';
import type { Receiver } from './notify-send.ts';

export type Log = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, string | number | boolean>,
) => void;

/** One connection as the steps see it: defaults filled in, durations in ms, no secret in it. */
export interface ConnectionSettings {
  name: string;
  capabilities: SourceCapabilities;
  objects: string[] | 'all';
  exclude: string[];
  everyMs: number;
  lookbackMs: number;
  policy: EvolutionPolicy;
  badShareMax: number;
  badRowsMax: number;
  bucket: BucketPolicy;
  /** When fields of old rows are read again. */
  refresh(object: string): RefreshPolicy;
  audit: AuditPolicy;
  /** How old the last whole reading may become, ms; null: as old as it is. */
  resyncMs(object: string): number | null;
  /** Which fields the configuration chooses; any text that changes with it. */
  choiceOf(object: string): string;
  /** What its system pushes; absent where nothing is taken. */
  webhooks?: { landEveryMs: number; quietAfterMs: number | null; pollEveryMs: number };
  /** Resolves the secrets (SECRET_MISSING) and connects; kept open by the caller. */
  open(callClass: CallClass): Promise<Source>;
}

/** What golden profiles need; absent where the configuration asks for none. */
export interface Profiles {
  claims: Claims;
  /** Conflict rules of the configuration, one per entity; in force once they are applied. */
  rules: readonly ConflictRules[];
  /** Shared schemas and the configuration's own, by name. */
  entities: ReadonlyMap<string, Entity>;
  /** Mappings of one object; none: its rows stay raw. */
  mappings(connection: string, object: string): readonly Mapping[];
  phone: PhoneNormaliser;
  /** How long records of an entity are kept after their newest version; an entity that is not named: for ever. */
  retentionMs: ReadonlyMap<string, number>;
}

/** What single records need, so that bulk work never delays them. */
export interface FastLane {
  inbox: Inbox;
  /** Apart from the one for windows: a slice of a million rows keeps that one for a minute. */
  shaper: Shaper;
  /** How long ids of settled events are remembered, ms. */
  rememberMs: number;
  /** The worker is asked to end: whoever waits for events ends now. */
  stopping: AbortSignal;
}

export interface SubscriptionSettings {
  interest: Interest;
  /** Flags of a person's consent that must not say no. */
  consents: readonly string[];
  /** Resolves the secrets: SECRET_MISSING, CONFIG_INVALID. */
  receiver(): Receiver;
}

/** Who is told of changed profiles. */
export interface Notify {
  subscriptions: ReadonlyMap<string, SubscriptionSettings>;
  /** The worker is asked to end. */
  stopping: AbortSignal;
}

export interface Dependencies {
  connections: ReadonlyMap<string, ConnectionSettings>;
  ledger: Ledger;
  stage: Stage;
  shaper: Shaper;
  warehouse: Warehouse;
  /** How a statement to the warehouse names the table of a connection. */
  rawTable: (connection: string, table: string) => string;
  profiles?: Profiles;
  /** Absent where the configuration takes nothing that is pushed. */
  fast?: FastLane;
  /** Absent where nobody is told. */
  notify?: Notify;
  /** The warehouse's name in the ledger's sink coverage. */
  sink: string;
  /** Further warehouses; `warehouse` is the main one. */
  copies?: readonly Copy[];
  /** Set in what `forCopy` gives: `warehouse`, `sink` and `lanes` are those of a further one. */
  isCopy?: true;
  lanes: Lanes;
  now: () => number;
  log: Log;
  /** Of these workflow executions, the ones that have closed (or that the server no longer knows). */
  closedOwners(owners: Owner[]): Promise<Owner[]>;
  /** Free bytes below which extract stops before load does. */
  freeBytesMin: number;
  /** Staged files are kept for `keepMs` and up to `bytesMax`; windows, receipts and runs for `factsMs`. */
  retention: { keepMs: number; bytesMax: number; factsMs: number };
  /** Objects of one run that move at once. */
  objectsInParallel: number;
}
