import { rm, stat } from 'node:fs/promises';
import { literal } from '../warehouses/sql.ts';
import { tooLong } from './json-pages.ts';
import { beginningOf, copyWithout, longLines } from './long-lines.ts';
import { type Slice, temporary } from './slice.ts';
import { csvSql, type CsvGroup } from './sql.ts';
import { copy, first } from './statement.ts';

/** Beside the longest line. */
const BUFFER_BYTES_MORE = 1024 ** 2;
/** Kept of a line that is too long. */
const KEPT_BYTES_MAX = 10_000;

/** Reads every line that can be read into a file of texts; the other lines go to `bad`. */
export async function tolerantCsv(slice: Slice, groups: CsvGroup[]): Promise<string> {
  const { request, connection, lineBytesMax } = slice;
  const { text } = temporary(request);
  // A buffer holds a whole line; broken lines are set aside instead of failing the read.
  const bufferBytes = lineBytesMax + BUFFER_BYTES_MORE;
  const options =
    `,max_line_size=${bufferBytes},buffer_size=${bufferBytes},` +
    'ignore_errors=true,store_rejects=true,rejects_limit=0';
  const copies: string[] = [];
  try {
    const readable = await withoutLongLines(slice, groups, copies);
    await copy(slice, csvSql(request.schema, readable, options), text);
  } finally {
    await Promise.all(copies.map((path) => rm(path, { force: true })));
  }
  await connection.run(
    'INSERT INTO bad SELECT NULL,any_value(column_name),NULL,' +
      "'broken line: '||lower(any_value(CAST(error_type AS VARCHAR))),CAST(json_object('line',any_value(csv_line)) AS VARCHAR) " +
      'FROM reject_errors GROUP BY scan_id,file_id,line',
  );
  slice.setAside = await first(slice, 'SELECT count(*) FROM bad');
  return `SELECT * FROM read_parquet(${literal(text)})`;
}

/** Pages with a line that is too long are read from a copy that lacks it. */
async function withoutLongLines(slice: Slice, groups: CsvGroup[], copies: string[]): Promise<CsvGroup[]> {
  const { request, connection, lineBytesMax, signal } = slice;
  const readable: CsvGroup[] = [];
  for (const { header, paths } of groups) {
    const kept: string[] = [];
    for (const path of paths) {
      signal.throwIfAborted();
      const long = (await stat(path)).size > lineBytesMax ? await longLines(path, lineBytesMax) : [];
      for (const line of long) {
        const beginning = await beginningOf(path, line, KEPT_BYTES_MAX);
        await connection.run('INSERT INTO bad VALUES ($1,NULL,NULL,$2,$3)', [
          header[0] === request.schema.key ? firstField(beginning) : null,
          tooLong(lineBytesMax),
          JSON.stringify({ line: beginning }),
        ]);
      }
      if (long.length === 0) {
        kept.push(path);
        continue;
      }
      const copied = `${temporary(request).text}-${copies.length}`;
      copies.push(copied);
      await copyWithout(path, long, copied);
      kept.push(copied);
    }
    readable.push({ header, paths: kept });
  }
  return readable;
}

function firstField(line: string): string | null {
  const [, quoted, plain] = /^(?:"((?:[^"]|"")+)"|([^",]+)),/.exec(line) ?? [];
  return quoted?.replaceAll('""', '"') ?? plain ?? null;
}
