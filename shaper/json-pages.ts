import { createWriteStream, type WriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { isLosslessNumber, LosslessNumber, stringify } from 'lossless-json';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import { HeadwaterError } from '../rules/errors.ts';

/**
 * DuckDB's JSON reader keeps a number of up to 15 digits exactly and turns longer ones into doubles; it refuses a whole
 * document for one half surrogate pair, and holds one many times over. Pages with either, and large ones, take the careful way, record
 * by record in JavaScript.
 */
const LONG_NUMBER = /[:[,\s]-?\d[\d.eE+-]{15,}/;
const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;

/** A page of an API is smaller; of one of 16 MB the reader would need 300 MB. */
const DIRECT_BYTES_MAX = 4 * 1024 * 1024;
/** Records with more text become lines of CSV, of which DuckDB holds one at a time; its JSON reader would hold each several times. */
const SMALL_CHARACTERS_MAX = 256 * 1024;
/** Characters that are kept of a record too large to be read, and of each text of a damaged one. */
const KEPT_CHARACTERS_MAX = 10_000;

/** Largest JSON page that is held in memory. */
export const JSON_PAGE_BYTES_MAX = 256 * 1024 * 1024;

export interface JsonPages {
  /** Pages that DuckDB reads by itself. */
  direct: string[];
  /** Pages with something that only a careful reader keeps exact. */
  careful: { path: string; damaged: boolean }[];
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
      damaged ||
      bytes.length > DIRECT_BYTES_MAX ||
      LONG_NUMBER.test(text) ||
      SURROGATE_ESCAPE.test(text) ||
      folded.size < schema.fields.length;
    if (needsCare) pages.careful.push({ path, damaged });
    else pages.direct.push(path);
  }
  return pages;
}

/** Lines of a file and the longest of them in bytes. */
export interface Lines {
  lines: number;
  bytesMax: number;
}

/** What became of the records; only files with lines are to be read. */
export interface CarefulLines {
  rows: Lines;
  large: Lines;
  bad: Lines;
}

class LineFile implements Lines {
  lines = 0;
  bytesMax = 0;
  readonly #stream: WriteStream;

  constructor(path: string) {
    this.#stream = createWriteStream(path);
  }

  async push(line: string): Promise<void> {
    this.lines += 1;
    this.bytesMax = Math.max(this.bytesMax, Buffer.byteLength(line) + 1);
    if (!this.#stream.write(`${line}\n`)) await once(this.#stream, 'drain');
  }

  async close(): Promise<void> {
    this.#stream.end();
    await finished(this.#stream);
  }
}

/**
 * Writes each record of a page as one line of texts `{"r0":…,"absent":…,"record":…}`, a large one as a line of CSV with the same
 * columns (`record` only where a field is absent), and each record whose text is damaged, or whose line is longer than
 * `lineBytesMax`, as a line of the quarantine. Nothing is rounded: numbers keep their digits as written.
 */
export async function writeCarefully(
  pages: JsonPages['careful'],
  schema: ObjectSchema,
  { jsonRecords, lineBytesMax }: { jsonRecords: string; lineBytesMax: number },
  out: { rows: string; large: string; bad: string },
): Promise<CarefulLines> {
  const files = { rows: new LineFile(out.rows), large: new LineFile(out.large), bad: new LineFile(out.bad) };
  for (const page of pages) {
    const text = await readFile(page.path, 'utf8');
    for (const record of recordsOf(text, jsonRecords)) {
      const flat = flatten(record, schema);
      const broken = flat.texts.findIndex(
        (value) => value !== null && (!value.isWellFormed() || (page.damaged && value.includes('\uFFFD'))),
      );
      if (broken >= 0) {
        await files.bad.push(badLine(flat, schema, record, { at: broken, reason: 'not valid unicode' }));
        continue;
      }
      if (lengthOf(flat) <= SMALL_CHARACTERS_MAX) {
        await files.rows.push(smallLine(flat, record));
        continue;
      }
      const whole = flat.absent === null ? '' : wholeOf(record);
      const large = [...flat.texts, flat.absent, whole].map(csvText).join(',');
      const tooLarge = Buffer.byteLength(large) >= lineBytesMax;
      if (!tooLarge) await files.large.push(large);
      else await files.bad.push(badLine(flat, schema, record, { at: null, reason: tooLong(lineBytesMax) }));
    }
  }
  await Promise.all(Object.values(files).map((file) => file.close()));
  return files;
}

/** The reason of a record that is set aside for its length alone. */
export const tooLong = (bytes: number): string =>
  `larger than ${Math.round(bytes / 1024 ** 2)} MiB, the most that is read of one record`;

const lengthOf = ({ texts }: FlatRecord): number =>
  texts.reduce((length, text) => length + (text?.length ?? 0), 0);

const smallLine = ({ texts, absent }: FlatRecord, record: unknown): string =>
  JSON.stringify({
    ...Object.fromEntries(texts.map((value, at) => [`r${at}`, value])),
    absent,
    record: wholeOf(record),
  });

/** A null is nothing, an empty text is "". */
const csvText = (text: string | null): string => (text === null ? '' : `"${text.replaceAll('"', '""')}"`);

const wholeOf = (record: unknown): string => (stringify(record) ?? 'null').toWellFormed();

function badLine(
  { texts }: FlatRecord,
  schema: ObjectSchema,
  record: unknown,
  { at, reason }: { at: number | null; reason: string },
): string {
  const cut = (text: string | null | undefined): string | null =>
    text?.slice(0, KEPT_CHARACTERS_MAX).toWellFormed() ?? null;
  const whole = wholeOf(record);
  return JSON.stringify({
    record: cut(texts[schema.fields.findIndex((field) => field.name === schema.key)]),
    field: at === null ? null : (schema.fields[at]?.name ?? ''),
    value: at === null ? null : cut(texts[at]),
    reason,
    // Still a document: what reads it later takes words out of it.
    raw: whole.length <= SMALL_CHARACTERS_MAX ? whole : JSON.stringify({ line: cut(whole) }),
  });
}

/** Numbers keep their digits as written. The engine's own reader takes a text of megabytes in one piece. */
const withDigits = (_key: string, value: unknown, context?: { source?: string }): unknown =>
  typeof value === 'number' ? new LosslessNumber(context?.source ?? String(value)) : value;

function recordsOf(text: string, jsonRecords: string): unknown[] {
  let found: unknown;
  try {
    found = JSON.parse(text, withDigits);
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

interface FlatRecord {
  texts: (string | null)[];
  absent: string | null;
}

function flatten(record: unknown, schema: ObjectSchema): FlatRecord {
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
