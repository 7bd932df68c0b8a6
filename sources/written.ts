import type { Instant } from '../schemas/instant.ts';
import type { FieldType } from '../schemas/object-schema.ts';
import type { WriteReceipt, WriteRequest } from './source.ts';

/** A record as the source holds it now: only the fields that are to be written. */
export interface Held {
  stamp: Instant;
  values: Readonly<Record<string, unknown>>;
}

export type Refusal = Extract<WriteReceipt, { outcome: 'refused' }>;

export interface WriteSteps {
  /** Null: the record is not there. */
  read(): Promise<Held | null>;
  /** moved: by the source's own precondition. */
  patch(held: Held): Promise<'done' | 'moved' | Refusal>;
  /** The source's code for a record that is gone. */
  goneCode: string;
}

/**
 * Reads, compares, writes, reads back: in this order a repetition changes nothing, and whoever changed the record first is not
 * overwritten without being seen. What a source has no precondition for is the time between reading and writing.
 */
export async function writeOnce(request: WriteRequest, steps: WriteSteps): Promise<WriteReceipt> {
  const gone = { outcome: 'refused' as const, code: steps.goneCode, field: null };
  const before = await steps.read();
  if (before === null) return gone;
  if (differing(request, before).length === 0) {
    return { outcome: 'written', stamp: before.stamp, adjusted: [], former: null };
  }
  const { unlessChangedSince } = request;
  if (unlessChangedSince !== null && before.stamp > unlessChangedSince) {
    return { outcome: 'moved', stamp: before.stamp };
  }
  const done = await steps.patch(before);
  if (typeof done === 'object') return done;
  const after = await steps.read();
  if (after === null) return gone;
  if (done === 'moved') return { outcome: 'moved', stamp: after.stamp };
  const adjusted = differing(request, after);
  return { outcome: 'written', stamp: after.stamp, adjusted, former: before.values };
}

function differing({ schema, values }: WriteRequest, held: Held): string[] {
  const types = new Map(schema.fields.map(({ name, type }) => [name, type.kind]));
  return Object.keys(values).filter(
    (name) => !sameValue(types.get(name) ?? 'string', values[name], held.values[name]),
  );
}

/** Whether two spellings are one value: 12.50 and "12.5", a time with and without its zone's name, '' and nothing. */
export function sameValue(kind: FieldType['kind'], left: unknown, right: unknown): boolean {
  const [a, b] = [textOf(left), textOf(right)];
  if (a === b) return true;
  if (a === '' || b === '') return false;
  if (kind === 'timestamp') return Date.parse(zoned(a)) === Date.parse(zoned(b));
  if (kind === 'date') return a.slice(0, 10) === b.slice(0, 10);
  if (kind === 'decimal' || kind === 'integer' || kind === 'double') return plain(a) === plain(b);
  return false;
}

/** A value as text; nothing is ''. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

const zoned = (text: string) => text.replace(/([+-]\d\d):?(\d\d)$/, '$1:$2');

function plain(text: string): string {
  const match = /^(-?)0*(\d+)(?:\.(\d*?)0*)?$/.exec(text.trim());
  if (match === null) return text;
  const [, sign = '', whole = '', fraction = ''] = match;
  const digits = fraction === '' ? whole : `${whole}.${fraction}`;
  return digits === '0' ? '0' : sign + digits;
}
