import { isLosslessNumber, stringify } from 'lossless-json';
import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import type { Instant } from '../../schemas/instant.ts';
import type { Field, ObjectSchema } from '../../schemas/object-schema.ts';
import type { Cursor } from '../../schemas/page.ts';
import type { RawPage } from '../source.ts';

/** A CRM record as HubSpot's object, search and batch answers all write it. */
export interface HubspotRecord {
  id: string;
  properties: Record<string, unknown>;
  createdAt: string | null;
  updatedAt: string | null;
  archived: boolean;
  archivedAt: string | null;
}

/** What stands beside the properties of a record, and `changedAt`, which is ours: see docs/hubspot.md. */
export const KEY_FIELD = 'id';
export const STAMP_FIELD = 'changedAt';
export const DELETED_FIELD = 'archived';
const ENVELOPE = new Set([KEY_FIELD, 'createdAt', 'updatedAt', DELETED_FIELD, 'archivedAt', STAMP_FIELD]);
const MOVED_ASIDE = 'property_';

export const MERGED_PROPERTY = 'hs_merged_object_ids';

/** The wrong one of the two is silently empty. */
export function stampProperty(object: string): string {
  return object === 'contacts' || object === 'contact' || object === '0-1'
    ? 'lastmodifieddate'
    : 'hs_lastmodifieddate';
}

/** A property that has the name of something beside the properties is told apart. */
export function fieldNameOf(property: string): string {
  return ENVELOPE.has(property) ? MOVED_ASIDE + property : property;
}

/** The property that a field holds; undefined for what stands beside the properties. */
export function propertyOf(field: string): string | undefined {
  if (ENVELOPE.has(field)) return undefined;
  const bare = field.slice(MOVED_ASIDE.length);
  return field.startsWith(MOVED_ASIDE) && ENVELOPE.has(bare) ? bare : field;
}

/** The properties to ask for: those described, and what stamps and merges need. */
export function propertiesOf(schema: ObjectSchema): string[] {
  const named = schema.fields.map((field) => propertyOf(field.name)).filter((name) => name !== undefined);
  return [...new Set([...named, stampProperty(schema.object), MERGED_PROPERTY])];
}

const recordSchema = z.object({
  id: z.union([z.string().min(1), z.number().transform(String)]),
  properties: z.custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null),
  createdAt: z.string().nullish(),
  updatedAt: z.string().nullish(),
  archived: z.boolean().nullish(),
  archivedAt: z.string().nullish(),
});

export function readRecord(value: unknown, object: string): HubspotRecord {
  const record = recordSchema.safeParse(value).data;
  if (record === undefined) {
    throw new HeadwaterError('SOURCE_PROTOCOL', `a record of ${object} is not in the documented form`);
  }
  return {
    id: record.id,
    properties: record.properties,
    createdAt: record.createdAt ?? null,
    updatedAt: record.updatedAt ?? null,
    archived: record.archived === true,
    archivedAt: record.archivedAt ?? null,
  };
}

/**
 * When a record last changed, ms. Archiving does not always move the modified date, so the later of the two counts; null
 * where the source says neither.
 */
export function stampOf(record: HubspotRecord, object: string): number | null {
  const written = textOf(record.properties[stampProperty(object)]);
  const modified = written === null || written === '' ? record.updatedAt : written;
  const times = [modified, record.archived ? record.archivedAt : null].filter((text) => text !== null);
  return times.length === 0 ? null : Math.max(...times.map(toMs));
}

/** HubSpot writes ISO 8601 with milliseconds or without, older objects milliseconds since 1970. */
export function toMs(text: string): number {
  const ms = /^\d{10,16}$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isNaN(ms)) throw new HeadwaterError('SOURCE_PROTOCOL', 'a time of the source is not readable');
  return ms;
}

export function toInstant(ms: number): Instant {
  return new Date(ms).toISOString();
}

/** Ids that this record has swallowed: they lead to it from now on. */
export function mergedIds(record: HubspotRecord): string[] {
  const text = textOf(record.properties[MERGED_PROPERTY]) ?? '';
  return text.split(';').filter((id) => /^\d+$/.test(id) && id !== record.id);
}

/** Values stay the texts that HubSpot sent; only what is not text in the warehouse turns from '' to null. */
export function toRow(schema: ObjectSchema, record: HubspotRecord): Record<string, unknown> {
  const stamp = stampOf(record, schema.object);
  const beside: Record<string, unknown> = {
    [KEY_FIELD]: record.id,
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
    [DELETED_FIELD]: record.archived,
    archivedAt: record.archived ? record.archivedAt : null,
    [STAMP_FIELD]: stamp === null ? null : toInstant(stamp),
  };
  return Object.fromEntries(
    schema.fields.map((field) => {
      const property = propertyOf(field.name);
      return [
        field.name,
        property === undefined ? beside[field.name] : valueOf(field, record.properties[property]),
      ];
    }),
  );
}

function valueOf(field: Field, value: unknown): string | null {
  const text = textOf(value);
  return text === '' && field.type.kind !== 'string' ? null : text;
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return value;
  return isLosslessNumber(value) ? value.value : (stringify(value) ?? null);
}

/** A page of flat records, as the shaper reads it. */
export function rowsPage(rows: readonly Record<string, unknown>[], cursor: Cursor): RawPage {
  return jsonPage(`{"records":[${rows.map((row) => JSON.stringify(row)).join(',\n')}]}`, rows.length, cursor);
}

function jsonPage(text: string, rows: number, cursor: Cursor): RawPage {
  return { format: 'json', body: once(text), rowsSent: () => rows, cursor: () => cursor };
}

export interface Tombstone {
  id: string;
  deletedAt: Instant;
}

export function tombstonesPage(tombstones: readonly Tombstone[], cursor: Cursor): RawPage {
  const text = tombstones.map((one) => `${JSON.stringify(one)}\n`).join('');
  return {
    format: 'tombstones',
    body: once(text),
    rowsSent: () => tombstones.length,
    cursor: () => cursor,
  };
}

async function* once(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
