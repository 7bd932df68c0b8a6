import { isLosslessNumber } from 'lossless-json';
import type { FieldType } from '../../schemas/object-schema.ts';
import { inboxEventSchema } from '../../schemas/inbox.ts';
import { eventId } from '../signature.ts';
import type { TakenRecord } from '../source.ts';
import type { PushedObject } from './config.ts';

const KEY_CHARACTERS_MAX = 200;
const DEPTH_MAX = 100;

/** A value that fits its type, as the shaper reads it; undefined where it does not. */
type Read = (value: unknown, type: FieldType) => unknown;

export interface Told {
  /** What tells two tellings of one fact from two facts: the sender's own name of its message. */
  keyed: string;
  /** Nobody reads our answer: a value that does not fit is kept as it came, and its row will be set aside with the reason. */
  unheard?: boolean;
}

/**
 * A record as declared: every field of the declaration in its order, null where the record says nothing, and no other. Numbers keep
 * their digits where the parser kept them (lossless-json).
 */
export function takeRecord(object: string, declared: PushedObject, input: unknown, told: Told): TakenRecord {
  if (typeof input !== 'object' || input === null || Array.isArray(input) || isLosslessNumber(input)) {
    return { ok: false, field: null, reason: 'is no object' };
  }
  const given = new Map<string, unknown>(Object.entries(input));
  const values: Record<string, unknown> = {};
  for (const [field, type] of Object.entries(declared.fields)) {
    const value = given.get(field) ?? null;
    const fit = value === null ? null : READ[type.kind](value, type);
    const needed = field === declared.key || field === declared.stamp;
    const read = fit === undefined && told.unheard === true && !needed ? plain(value, 0) : fit;
    if (read === undefined) return { ok: false, field, reason: `is no ${wordOf(type)}` };
    values[field] = read;
  }
  return kept(object, declared, values, told.keyed);
}

function kept(
  object: string,
  { key, stamp }: PushedObject,
  values: Record<string, unknown>,
  keyed: string,
): TakenRecord {
  const record = textOf(values[key]) ?? '';
  if (record === '' || record.length > KEY_CHARACTERS_MAX) {
    return { ok: false, field: key, reason: record === '' ? 'is missing' : 'is too long' };
  }
  const time = textOf(values[stamp]);
  if (time === undefined) return { ok: false, field: stamp, reason: 'is missing' };
  const at = new Date(time).toISOString();
  const id = eventId(object, keyed, JSON.stringify(values));
  const event = inboxEventSchema.safeParse({ id, object, record, kind: 'row', values, at }).data;
  return event === undefined ? { ok: false, field: stamp, reason: 'cannot be kept' } : { ok: true, event };
}

function wordOf(type: FieldType): string {
  return type.kind === 'decimal' ? `decimal(${type.precision},${type.scale})` : type.kind;
}

const TIMESTAMP = /^(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)$/i;
/** Beyond these DuckDB, Postgres and BigQuery do not agree any more. */
const YEARS = { min: '0001-01-01', max: '9999-12-31' };

const READ: Record<FieldType['kind'], Read> = {
  string: (value) => (typeof value === 'boolean' ? String(value) : textOf(value)),
  boolean: (value) =>
    value === true || value === 'true' ? true : value === false || value === 'false' ? false : undefined,
  integer: (value) => {
    const text = textOf(value) ?? '';
    if (!/^-?\d{1,19}$/.test(text)) return undefined;
    return BigInt.asIntN(64, BigInt(text)) === BigInt(text) ? text : undefined;
  },
  decimal: (value, type) => {
    const [, whole, fraction = ''] = /^-?0*(\d*)(?:\.(\d*?)0*)?$/.exec(textOf(value) ?? '-') ?? [];
    if (whole === undefined || type.kind !== 'decimal') return undefined;
    const fits = fraction.length <= type.scale && whole.length <= type.precision - type.scale;
    return fits && /\d/.test(textOf(value) ?? '') ? textOf(value) : undefined;
  },
  double: (value) => {
    const number = /^\s*$/.test(textOf(value) ?? '') ? Number.NaN : Number(textOf(value));
    return Number.isFinite(number) ? number : undefined;
  },
  date: (value) => (typeof value === 'string' && isDate(value) ? value : undefined),
  time: (value) =>
    typeof value === 'string' && /^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?$/.test(value)
      ? value
      : undefined,
  timestamp: (value) => {
    if (typeof value !== 'string') return undefined;
    const [, day] = TIMESTAMP.exec(value) ?? [];
    return day !== undefined && isDate(day) && !Number.isNaN(Date.parse(value)) ? value : undefined;
  },
  json: (value) => plain(value, 0),
};

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : undefined;
  return isLosslessNumber(value) ? value.value : undefined;
}

/** Not the thirtieth of February. */
function isDate(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || text < YEARS.min || text > YEARS.max) return false;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

/** Without the parser's numbers; long ones become texts rather than other numbers. */
function plain(value: unknown, depth: number): unknown {
  if (depth > DEPTH_MAX) return undefined;
  if (isLosslessNumber(value)) {
    const number = Number(value.value);
    return String(number) === value.value ? number : value.value;
  }
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => plain(item, depth + 1));
    return items.includes(undefined) ? undefined : items;
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => [
    key,
    plain(item, depth + 1),
  ]);
  return entries.some(([, item]) => item === undefined) ? undefined : Object.fromEntries(entries);
}
