import { canonicalJson } from '../../../rules/golden/canonical.ts';
import type { Instant } from '../../../schemas/instant.ts';
import type { ClaimValue, Identifier, Observation } from '../../../schemas/observation.ts';

/** The field is left out where the observation names none. */
export type IdentifierText = [kind: string, value: string, field?: string];

/** What the sealed body of a version says. Short names: there is one per event. */
export interface Content {
  /** deleted */
  d?: 1;
  /** fields */
  f: Record<string, ClaimValue>;
  /** mergedFrom, sorted */
  g?: string[];
  /** identifiers as [kind, value, field], sorted */
  h?: IdentifierText[];
  /** inferred */
  i?: Record<string, number>;
  /** mergedInto */
  m?: string;
  /** stamp */
  s: Instant;
  /** times */
  t?: Record<string, Instant>;
  /** version */
  v: string;
}

/** I1: the same text for the same content, whatever the order in which it was written; the road and the time are not in it. */
export function contentOf(observation: Observation): string {
  const { deleted, fields, times, inferred, identifiers, mergedInto, mergedFrom, stamp, version } =
    observation;
  const parts = [`"f":${sorted(fields)}`];
  if (deleted) parts.unshift('"d":1');
  if (mergedFrom !== undefined && mergedFrom.length > 0) {
    parts.push(`"g":${JSON.stringify(mergedFrom.toSorted())}`);
  }
  if (identifiers.length > 0) parts.push(`"h":${identifierText(identifiers)}`);
  if (inferred !== undefined) parts.push(`"i":${sorted(inferred)}`);
  if (mergedInto !== undefined) parts.push(`"m":${JSON.stringify(mergedInto)}`);
  parts.push(`"s":"${stamp}"`);
  if (times !== undefined) parts.push(`"t":${sorted(times)}`);
  parts.push(`"v":${JSON.stringify(version)}`);
  return `{${parts.join(',')}}`;
}

export function parseContent(text: string): Content {
  const content: Content = JSON.parse(text);
  return content;
}

export function identifierOf({ kind, value, field }: Identifier): IdentifierText {
  return field === undefined ? [kind, value] : [kind, value, field];
}

function identifierText(identifiers: readonly Identifier[]): string {
  const texts = identifiers.map((identifier) => JSON.stringify(identifierOf(identifier)));
  if (texts.length > 1) texts.sort();
  return `[${texts.join(',')}]`;
}

/** canonicalJson, at once where the keys come in order and no value has an inside: nearly always. */
function sorted(fields: Record<string, ClaimValue>): string {
  let last = '';
  for (const key of Object.keys(fields)) {
    const value = fields[key];
    // Keys that look like numbers come first in any object, so the engine's order is not the text's.
    if (key < last || value === undefined || (typeof value === 'object' && value !== null)) {
      return canonicalJson(defined(fields));
    }
    last = key;
  }
  return JSON.stringify(fields);
}

/** A field that was not read makes no claim. */
function defined(fields: Record<string, ClaimValue>): Record<string, ClaimValue> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
