import type { KeyObject } from 'node:crypto';
import { foldRecord } from '../../../rules/golden/fold.ts';
import type { Override, RecordState, Retraction, Version } from '../../../rules/golden/state.ts';
import type { Instant } from '../../../schemas/instant.ts';
import type { ClaimValue, RecordRef } from '../../../schemas/observation.ts';
import type { Vault } from '../vault.ts';
import { parseContent, type Content } from './content.ts';
import { codeOf, VERSION_CODE_MAX } from './draft.ts';
import type { EventRow, RecordRow } from './program.ts';

/** The opened log of one record. */
export interface Opened {
  versions: Version[];
  contents: Content[];
  retractions: Retraction[];
  overrides: Override[];
}

/** What retract, override, release, propose and settle say of a field. */
export interface Statement {
  field: string;
  value?: ClaimValue;
  retraction?: Retraction;
  /** propose, settle: the change's id. */
  change?: string;
}

const [RETRACT, UNRETRACT, OVERRIDE, RELEASE, PROPOSE, SETTLE] = [
  codeOf('retract'),
  codeOf('unretract'),
  codeOf('override'),
  codeOf('release'),
  codeOf('propose'),
  codeOf('settle'),
];
const STATEMENTS: ReadonlySet<number> = new Set([RETRACT, UNRETRACT, OVERRIDE, RELEASE, PROPOSE, SETTLE]);

export function refOf({ source, object, record }: RecordRow): RecordRef {
  return { source, object, record: record ?? '' };
}

/** Of so many different times, the last ones; a transaction has few. */
const INSTANTS_MAX = 256;
const instants = new Map<number, string>();

export function instantOf(ms: number): string {
  let text = instants.get(ms);
  if (text === undefined) {
    text = new Date(ms).toISOString();
    if (instants.size >= INSTANTS_MAX) instants.clear();
    instants.set(ms, text);
  }
  return text;
}

export function versionOf(
  id: string,
  seq: number,
  content: Content,
  firstSeen: Instant,
  confirmedAt: Instant,
): Version {
  return {
    id,
    seq,
    stamp: content.s,
    version: content.v,
    firstSeen,
    confirmedAt,
    deleted: content.d === 1,
    fields: content.f,
    ...(content.t === undefined ? {} : { times: content.t }),
    ...(content.i === undefined ? {} : { inferred: content.i }),
  };
}

/** Ascending events of one record. `row` is current: the newest version was perhaps confirmed since it was written. */
export function openHistory(
  vault: Vault,
  key: KeyObject,
  row: RecordRow,
  events: readonly EventRow[],
): Opened {
  const opened: Opened = { versions: [], contents: [], retractions: [], overrides: [] };
  for (const event of events) {
    if (event.body === null) continue;
    if (event.kind <= VERSION_CODE_MAX) {
      const content = parseContent(vault.open(key, event.body, event.id));
      const newest = event.seq === row.head ? row.confirmed : -Infinity;
      const confirmed = Math.max(event.confirmed ?? -Infinity, newest);
      opened.contents.push(content);
      opened.versions.push(
        versionOf(event.id, event.seq, content, instantOf(event.at), instantOf(confirmed)),
      );
    } else {
      addStatement(opened, event, vault, key);
    }
  }
  return opened;
}

function addStatement(opened: Opened, event: EventRow, vault: Vault, key: KeyObject): void {
  const { kind, seq, id, body } = event;
  if (body === null || !STATEMENTS.has(kind)) return;
  const statement: Statement = JSON.parse(vault.open(key, body, id));
  const { field, value = null, retraction, change } = statement;
  const at = instantOf(event.at);
  if (kind === RETRACT && retraction !== undefined) opened.retractions.push(retraction);
  if (kind === OVERRIDE) {
    opened.overrides = endOverride(opened.overrides, field);
    opened.overrides.push({ field, value, id, seq, at });
  }
  if (kind === PROPOSE && change !== undefined) {
    opened.overrides.push({ field, value, id, seq, at, pending: change });
  }
  if (kind === SETTLE) {
    opened.overrides = opened.overrides.filter((other) => other.field !== field || other.pending !== change);
  }
  if (kind === RELEASE || kind === UNRETRACT) {
    opened.retractions = opened.retractions.filter((other) => other.field !== field);
    if (kind === RELEASE) opened.overrides = endOverride(opened.overrides, field);
  }
}

/** A pending change ends by the answer of its systems alone. */
export function endOverride(overrides: readonly Override[], field: string): Override[] {
  return overrides.filter((other) => other.field !== field || other.pending !== undefined);
}

/** Null for a record that another one only named: it has said nothing yet. */
export function stateOf(
  row: RecordRow,
  versions: readonly Version[],
  retractions: readonly Retraction[],
  maxSkewMs: number,
): RecordState | null {
  return versions.length === 0 ? null : foldRecord(refOf(row), versions, retractions, maxSkewMs);
}
