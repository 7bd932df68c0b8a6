import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { isLosslessNumber, parse, stringify } from 'lossless-json';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import { HeadwaterError } from '../rules/errors.ts';

/**
 * DuckDB's JSON reader keeps a number of up to 15 digits exactly and turns longer ones into doubles; it refuses a whole
 * document for one half surrogate pair. Pages with either take the careful way, record by record in JavaScript.
 */
const LONG_NUMBER = /[:[,\s]-?\d[\d.eE+-]{15,}/;
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

/** Largest JSON page that is held in memory. */
export const JSON_PAGE_BYTES_MAX = 256 * 1024 * 1024;

export interface JsonPages {
  /** Pages that DuckDB reads by itself. */
  direct: string[];
  /** Pages with something that only a careful reader keeps exact. */
  careful: { path: string; text: string; damaged: boolean }[];
}

export async function sortJsonPages(paths: string[], schema: ObjectSchema): Promise<JsonPages> {
  const pages: JsonPages = { direct: [], careful: [] };
  const folded = new Set(schema.fields.map((field) => field.name.toLowerCase()));
  for (const path of paths) {
    const bytes = await readFile(path);
    if (bytes.length > JSON_PAGE_BYTES_MAX) {
      throw new HeadwaterError(
        'SOURCE_PROTOCOL',
        `a json page has ${bytes.length} bytes, at most ${JSON_PAGE_BYTES_MAX} can be read`,
      );
    }
    const text = bytes.toString('utf8');
    const damaged = text.includes('\uFFFD') && !Buffer.from(text, 'utf8').equals(bytes);
    // Names that differ by case only are one name to DuckDB's structs.
    const needsCare =
      damaged || LONG_NUMBER.test(text) || SURROGATE_ESCAPE.test(text) || folded.size < schema.fields.length;
    if (needsCare) pages.careful.push({ path, text, damaged });
    else pages.direct.push(path);
  }
  return pages;
}

export interface CarefulRows {
  rows: number;
  bad: number;
}

/**
 * Writes each record of a page as one line of texts `{"r0":…,"absent":…,"record":…}`, and each record whose text is damaged
 * as a line of the quarantine. Nothing is rounded: numbers keep their digits as written.
 */
export async function writeCarefully(
  pages: JsonPages['careful'],
  schema: ObjectSchema,
  jsonRecords: string,
  out: { rows: string; bad: string },
): Promise<CarefulRows> {
  const rows = createWriteStream(out.rows);
  const bad = createWriteStream(out.bad);
  const counts: CarefulRows = { rows: 0, bad: 0 };
  for (const page of pages) {
    for (const record of recordsOf(page.text, jsonRecords)) {
      const flat = flatten(record, schema);
      const broken = flat.texts.findIndex(
        (text) => text !== null && (!text.isWellFormed() || (page.damaged && text.includes('\uFFFD'))),
      );
      const whole = (stringify(record) ?? 'null').toWellFormed();
      const line =
        broken < 0
          ? {
              ...Object.fromEntries(flat.texts.map((text, at) => [`r${at}`, text])),
              absent: flat.absent,
              record: whole,
            }
          : {
              record:
                flat.texts[schema.fields.findIndex((field) => field.name === schema.key)]?.toWellFormed() ??
                null,
              field: schema.fields[broken]?.name ?? '',
              value: flat.texts[broken]?.toWellFormed() ?? null,
              reason: 'not valid unicode',
              raw: whole,
            };
      const stream = broken < 0 ? rows : bad;
      counts[broken < 0 ? 'rows' : 'bad']++;
      if (!stream.write(`${JSON.stringify(line)}\n`)) await once(stream, 'drain');
    }
  }
  rows.end();
  bad.end();
  await Promise.all([finished(rows), finished(bad)]);
  return counts;
}

function recordsOf(text: string, jsonRecords: string): unknown[] {
  let found: unknown;
  try {
    found = parse(text);
  } catch (cause) {
    throw new HeadwaterError('SOURCE_PROTOCOL', 'a json page is not valid JSON', { cause });
  }
  for (const part of jsonRecords === '' ? [] : jsonRecords.split('.')) found = property(found, part);
  if (!Array.isArray(found))
    throw new HeadwaterError('SOURCE_PROTOCOL', `a json page holds no records at '${jsonRecords}'`);
  return found;
}

/** Own properties only: a record may have a field named `constructor`. */
function property(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || isLosslessNumber(value)) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

function flatten(record: unknown, schema: ObjectSchema): { texts: (string | null)[]; absent: string | null } {
  let absent: string | null = null;
  const texts = schema.fields.map((field) => {
    let value = record;
    for (const part of field.name.split('.')) value = value === null ? null : property(value, part);
    if (value === undefined) absent ??= field.name;
    if (value === undefined || value === null) return null;
    if (field.type.kind === 'json') return stringify(value) ?? null;
    if (isLosslessNumber(value)) return value.value;
    return typeof value === 'string' ? value : (stringify(value) ?? null);
  });
  return { texts, absent };
}
