import { z } from 'zod';
import type { Cursor } from '../../schemas/page.ts';
import type { RawPage } from '../../sources/source.ts';

const recordSchema = z.record(z.string(), z.unknown());

export interface ReadPage {
  format: RawPage['format'];
  /** Undefined: only the cursor moved. */
  rows: Record<string, string | null>[] | undefined;
  rowsSent: number;
  cursor: Cursor;
}

/** Reads pages as a careful caller does: body to its end, then the count, then the cursor. Texts only; empty CSV is null. */
export async function* readPages(
  pages: AsyncIterable<RawPage>,
  jsonRecords = 'records',
): AsyncGenerator<ReadPage> {
  for await (const page of pages) {
    const rows =
      page.body === undefined ? undefined : parsePage(page.format, await textOf(page.body), jsonRecords);
    yield { format: page.format, rows, rowsSent: page.rowsSent(), cursor: page.cursor() };
  }
}

async function textOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function parsePage(
  format: RawPage['format'],
  text: string,
  jsonRecords: string,
): Record<string, string | null>[] {
  if (format === 'csv') return parseCsv(text);
  if (format === 'tombstones') {
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => asTexts(recordSchema.parse(JSON.parse(line))));
  }
  const document = recordSchema.parse(JSON.parse(text));
  return z.array(recordSchema).parse(document[jsonRecords]).map(asTexts);
}

function asTexts(record: Record<string, unknown>): Record<string, string | null> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, textOrNull(value)]));
}

function textOrNull(value: unknown): string | null {
  if (value === null) return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** RFC 4180, enough for a test: the header becomes the keys, an empty cell is null. */
export function parseCsv(text: string): Record<string, string | null>[] {
  const table: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\n|$)/g)) {
    table.at(-1)?.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll('""', '"'));
    if (end === '\n') table.push([]);
    if (end === '') break;
  }
  const [header = [], ...rows] = table;
  return rows
    .filter((row) => row.length === header.length)
    .map((row) =>
      Object.fromEntries(header.map((name, n) => [name, row[n] === '' ? null : (row[n] ?? null)])),
    );
}
