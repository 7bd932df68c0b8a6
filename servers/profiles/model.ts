import type { Classification, Entity, EntityField } from '../../schemas/entities/entity.ts';
import type { GoldenField } from '../../schemas/profile.ts';
import type { ServedProfile } from '../../stores/claims/serving.ts';

/** A live field without limits of its own is never served older than this. */
export const LIVE_MS = 60_000;

/** Of a field that no record stands behind: an operator's word or a pending change is as young as it is; the rest is of all records. */
const OF_NOBODY = -1;
const OF_ALL = -2;

/** One field, serialised once per version; what depends on the moment of reading goes between `before` and `after`. */
export interface FieldPiece {
  name: string;
  classification: Classification;
  kind: 'explicit' | 'inferred';
  live: boolean;
  /** Index of the record that it is from, or one of the two above. */
  from: number;
  changedMs: number;
  /** Older than this the value is stale, ms; null: never by its age alone. */
  staleMs: number | null;
  /** Older than this it is not served at all, ms; of live fields. */
  liveMs: number | null;
  before: string;
  after: string;
}

export interface ModelRecord {
  source: string;
  /** As the source names it. */
  object: string;
  record: string;
  deleted: boolean;
  /** When a read last returned it as it is here, ms. */
  confirmedMs: number;
}

/** A profile as it lies in a cache. */
export interface Model {
  profile: string;
  entity: string;
  version: number;
  deleted: boolean;
  records: ModelRecord[];
  /** Flags of its consent that say no. */
  denied: readonly string[];
  /** `"aliases":[…]` and `"links":[…]`. */
  aliases: string;
  links: string;
  fields: FieldPiece[];
  /** Changes with what of it is unconfirmed; empty: nothing is. */
  supposed: string;
}

interface Head extends Omit<Model, 'fields' | 'records' | 'aliases' | 'links' | 'supposed'> {
  records: [source: string, object: string, record: string, deleted: 0 | 1, confirmedMs: number][];
}

/** Lines: the head, the aliases, the links, then one per field. */
const FIELDS_FROM = 3;
const LINE = '\n';
const CELL = '\t';
const CLASSES: Record<Classification, string> = {
  business: 'b',
  identifier: 'i',
  personal: 'p',
  sensitive: 's',
};
const BY_LETTER: ReadonlyMap<string, Classification> = new Map([
  ['b', 'business'],
  ['i', 'identifier'],
  ['p', 'personal'],
  ['s', 'sensitive'],
]);

/**
 * JSON escapes what separates lines and cells here, so the text is taken apart without being parsed: reading is the assembly of
 * strings.
 */
export function textOf(
  { profile, aliases, confirmedAt, unconfirmed }: ServedProfile,
  entity: Entity | undefined,
  denied: readonly string[],
): string {
  const records = profile.records.map((record, at): Head['records'][number] => [
    record.source,
    objectOf(record.object),
    record.record,
    record.deleted ? 1 : 0,
    confirmedAt[at] === undefined ? 0 : Date.parse(confirmedAt[at]),
  ]);
  const head: Head = {
    profile: profile.profile,
    entity: profile.entity,
    version: profile.version,
    deleted: profile.deleted,
    records,
    denied,
  };
  const links = profile.records.map(({ source, object, record, deleted }) => ({
    source,
    object,
    record,
    deleted,
  }));
  const names = profile.records.map(({ source, object, record }) => `${source}:${object}:${record}`);
  const lines = Object.entries(profile.fields).map(([name, golden]) =>
    line(name, golden, entity?.fields[name], names, unconfirmed.includes(name)),
  );
  const texts = [`"aliases":${JSON.stringify(aliases)}`, `"links":${JSON.stringify(links)}`];
  return [JSON.stringify(head), ...texts, ...lines].join(LINE);
}

/** Two mappings of one object are `Contact` and `Contact/consent`; the source knows the first part. */
export const objectOf = (object: string): string => object.split('/', 1)[0] ?? object;

function line(
  name: string,
  golden: GoldenField,
  field: EntityField | undefined,
  records: readonly string[],
  isUnconfirmed: boolean,
): string {
  const { ref, claim, kind, confidence, contested } = golden;
  const record = ref === null ? null : `${ref.source}:${ref.object}:${ref.record}`;
  const value = [
    `"value":${JSON.stringify(golden.value)}`,
    `"source":${JSON.stringify(ref?.source ?? null)}`,
    ...(record === null ? [] : [`"record":${JSON.stringify(record)}`]),
    `"claim":${JSON.stringify(claim)}`,
    `"explicit":${kind === 'explicit'}`,
    ...(kind === 'inferred' ? [`"confidence":${confidence}`] : []),
  ];
  const after = [
    `"contested":${contested}`,
    ...(golden.pending === true ? ['"pending":true'] : []),
    ...(isUnconfirmed ? ['"unconfirmed":true'] : []),
  ];
  const limits = field?.freshness;
  const live = field?.live === true;
  const own = golden.decidedBy === 'override' || golden.pending === true || isUnconfirmed;
  const at = record === null ? -1 : records.indexOf(record);
  const facts = [
    String(own ? OF_NOBODY : at === -1 ? OF_ALL : at),
    String(Date.parse(golden.changedAt)),
    String(limits?.warnAfterMs ?? ''),
    live ? String(limits?.errorAfterMs ?? LIVE_MS) : '',
  ];
  // What no schema classifies is shown to nobody who may not see everything.
  const letters = CLASSES[field?.classification ?? 'sensitive'] + (kind === 'inferred' ? 'i' : 'e');
  return `${letters}${facts.join(',')}${CELL}${JSON.stringify(name)}:{${value.join(',')}${CELL},${after.join(',')}}`;
}

/** INTERNAL is never thrown: what cannot be read is a miss. */
export function parseModel(text: string): Model | null {
  const lines = text.split(LINE);
  try {
    const head: Head = JSON.parse(lines[0] ?? '');
    const records = head.records.map(([source, object, record, deleted, confirmedMs]) => ({
      source,
      object,
      record,
      deleted: deleted === 1,
      confirmedMs,
    }));
    const [, aliases, links] = lines;
    if (aliases === undefined || links === undefined) return null;
    const fields: FieldPiece[] = [];
    for (let at = FIELDS_FROM; at < lines.length; at += 1) fields.push(pieceOf(lines[at] ?? ''));
    return { ...head, records, aliases, links, fields, supposed: '' };
  } catch {
    return null;
  }
}

function pieceOf(text: string): FieldPiece {
  const first = text.indexOf(CELL);
  const second = text.indexOf(CELL, first + 1);
  const facts = factsOf(text.slice(0, first));
  const before = text.slice(first + 1, second);
  const { classification, kind, live, from, changedMs, staleMs, liveMs } = facts;
  return {
    name: nameIn(before),
    classification,
    kind,
    live,
    from,
    changedMs,
    staleMs,
    liveMs,
    before,
    after: text.slice(second + 1),
  };
}

type Facts = Omit<FieldPiece, 'name' | 'before' | 'after'>;

/** Most fields of most profiles say the same of themselves but when they changed. */
const FACTS = new Map<string, Facts>();
const FACTS_MAX = 50_000;

function factsOf(text: string): Facts {
  let facts = FACTS.get(text);
  if (facts === undefined) {
    const [from, changed, stale = '', live = ''] = text.slice(2).split(',');
    facts = {
      classification: BY_LETTER.get(text[0] ?? '') ?? 'sensitive',
      kind: text[1] === 'i' ? 'inferred' : 'explicit',
      live: live !== '',
      from: Number(from),
      changedMs: Number(changed),
      staleMs: stale === '' ? null : Number(stale),
      liveMs: live === '' ? null : Number(live),
    };
    if (FACTS.size >= FACTS_MAX) FACTS.clear();
    FACTS.set(text, facts);
  }
  return facts;
}

/** `before` begins with the name as JSON. */
function nameIn(before: string): string {
  const end = before.indexOf('"', 1);
  if (before.lastIndexOf('\\', end) === -1) return before.slice(1, end);
  const [quoted = '""'] = /^"(?:[^"\\]|\\.)*"/.exec(before) ?? [];
  return String(JSON.parse(quoted));
}

/** When a source last stood by each record: its last read, or the end of what is proven of its object. */
export function observedOf(
  { records }: Model,
  watermarkOf: (source: string, object: string) => number | null,
): { each: number[]; all: number } {
  const each = records.map(({ source, object, confirmedMs }) =>
    Math.max(confirmedMs, watermarkOf(source, object) ?? 0),
  );
  const living = each.filter((_, at) => records[at]?.deleted === false);
  return { each, all: living.length === 0 ? 0 : Math.min(...living) };
}

/** When the value was last known to be so, ms. */
export function observedMs(
  { from, changedMs }: FieldPiece,
  observed: { each: readonly number[]; all: number },
): number {
  if (from === OF_NOBODY) return changedMs;
  return Math.max(changedMs, from === OF_ALL ? observed.all : (observed.each[from] ?? 0));
}

/** Whether its age says anything: a person's word stands until it is taken back. */
export const ages = ({ from }: FieldPiece): boolean => from !== OF_NOBODY;
