import { open } from 'node:fs/promises';
import type { ObjectSchema } from '../schemas/object-schema.ts';
import { HeadwaterError } from '../rules/errors.ts';
import type { CsvGroup } from './sql.ts';

/** Longest header line: thousands of columns with long names. */
export const HEADER_BYTES_MAX = 1024 * 1024;

/**
 * Groups pages by their header line and checks it: a column that is not there must not become NULL unnoticed, and one that
 * nobody described must not vanish. A page of zero bytes has no rows.
 */
export async function groupCsvPages(paths: string[], schema: ObjectSchema): Promise<CsvGroup[]> {
  const groups = new Map<string, CsvGroup>();
  const known = new Set(schema.fields.map((field) => field.name));
  for (const path of paths) {
    const line = await headerLine(path);
    if (line === '') continue;
    const group = groups.get(line);
    if (group !== undefined) {
      group.paths.push(path);
      continue;
    }
    const header = parseHeader(line);
    const missing = schema.fields.filter((field) => !header.includes(field.name)).map((field) => field.name);
    const unknown = header.filter((name) => !known.has(name));
    if (missing.length > 0 || unknown.length > 0 || new Set(header).size < header.length) {
      throw new HeadwaterError(
        'SOURCE_PROTOCOL',
        `${schema.object}: the page's columns differ from the description: missing ${missing.join(', ') || 'none'}; not described ${unknown.join(', ') || 'none'}`,
        { details: { missing, unknown } },
      );
    }
    groups.set(line, { header, paths: [path] });
  }
  return [...groups.values()];
}

async function headerLine(path: string): Promise<string> {
  const file = await open(path);
  try {
    let bytes = 8 * 1024;
    for (; bytes <= HEADER_BYTES_MAX; bytes *= 4) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
      const end = buffer.subarray(0, bytesRead).indexOf('\n');
      if (end >= 0 || bytesRead < bytes) {
        const text = buffer.subarray(0, end < 0 ? bytesRead : end).toString('utf8');
        return text.replace(/^\uFEFF/, '').replace(/\r$/, '');
      }
    }
  } finally {
    await file.close();
  }
  throw new HeadwaterError(
    'SOURCE_PROTOCOL',
    `a csv page has no header line within ${HEADER_BYTES_MAX} bytes`,
  );
}

/** Field names never hold a line break; quotes are doubled inside quotes. */
export function parseHeader(line: string): string[] {
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map((match) =>
    match[1] === undefined ? (match[2] ?? '') : match[1].replaceAll('""', '"'),
  );
}
