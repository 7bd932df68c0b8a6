/**
 * Between the warehouse for Redshift and a real Postgres. It rewrites what only Redshift knows, reads files for COPY from an
 * object store, and refuses what only Postgres knows, so that nothing passes here that Redshift has not got.
 */
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash, randomUUID } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { DuckDBInstance } from '@duckdb/node-api';
import { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

/** Functions and types of Redshift, in the database itself; JSON_SERIALIZE Postgres has, too. */
export const REDSHIFT_WORDS = `
CREATE DOMAIN super AS json;
CREATE FUNCTION can_json_parse(value varchar) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT pg_input_is_valid(value, 'json') $$;
CREATE FUNCTION json_parse(value varchar) RETURNS super LANGUAGE sql IMMUTABLE AS $$ SELECT value::json::super $$;
CREATE FUNCTION pg_last_copy_count() RETURNS bigint LANGUAGE sql AS $$ SELECT coalesce(nullif(current_setting('redshift.copied', true), ''), '0')::bigint $$;
`;

const NAME = String.raw`"(?:[^"]|"")*"`;
const ATTRIBUTES = new RegExp(
  String.raw` DISTSTYLE (?:ALL|EVEN|KEY)(?: DISTKEY \(${NAME}\))?(?: COMPOUND SORTKEY \(${NAME}\))?`,
  'g',
);
const SNAPSHOT = /^(CREATE DATABASE \w+) ISOLATION LEVEL SNAPSHOT$/;
const COPY = new RegExp(
  String.raw`^COPY (${NAME}) FROM 's3://([a-z0-9.-]+)/([^']+)' IAM_ROLE (default|'arn:aws:iam::\d{12}:role/[\w/]+') FORMAT AS PARQUET STATUPDATE OFF$`,
);

/** Of Postgres, not of Redshift: "Unsupported PostgreSQL features", "… data types", "… functions". */
const POSTGRES_ONLY: readonly RegExp[] = [
  /\bON CONFLICT\b/i,
  /\bSAVEPOINT\b/i,
  /\bDISTINCT ON\b/i,
  /\bFILTER \(/i,
  /\bIS (?:NOT )?DISTINCT FROM\b/i,
  /\b(?:ANY|ALL|unnest|generate_series|array_agg|string_agg|array_remove) ?\(/i,
  /\bARRAY\[/,
  /::(?:text|json|jsonb)\b|\bAS text\b| text(?: NOT NULL)?[,)]/i,
  /\bpg_advisory|\bhashtext|\bto_reg\w+\(|\bpg_input_is_valid\b|\bstarts_with\(/i,
  /\bON COMMIT\b|\bRETURNING\b|\bLATERAL\b|\bUNLOGGED\b|\bFOR UPDATE\b|\bDO \$/i,
  /->>?|\bjsonb?_(?!parse\(|serialize\()\w+\(/i,
  /\bCREATE (?:UNIQUE )?INDEX\b|\bPRIMARY KEY\b|\bGENERATED (?:ALWAYS|BY)\b/i,
  /\bMERGE INTO\b|\bctid\b|\bWITH ORDINALITY\b/i,
  /\bIN \(\)|= *\(\$/,
  // A comparison of rows.
  /\([^()]*,[^()]*\) (?:>|<|>=|<=) \(/,
  // Reserved there, not here.
  /(?<!["\w])(?:raw|open|tag|old|new|snapshot|delta|minus|system|identity|explicit|ignore|top|recover|permissions|restore|pivot)(?!["\w])/i,
  // DELETE and UPDATE of an alias.
  /\b(?:DELETE FROM|UPDATE) (?:"(?:[^"]|"")*"|\w)+(?:\.(?:"(?:[^"]|"")*"|\w)+)? AS\b/i,
];

/** Behind a statement that is the user's own, where no cursor shows it. */
export const OF_USER = '-- of a user';

function refuse(sql: string): void {
  if (sql.endsWith(OF_USER)) return;
  // Texts may hold anything; the user's own statement is the user's.
  const bare = sql
    .replaceAll(/'(?:[^']|'')*'/g, "''")
    .replace(/^DECLARE \w+ CURSOR FOR [\s\S]*$/, 'DECLARE')
    .replace(SNAPSHOT, '$1');
  const found = POSTGRES_ONLY.find((pattern) => pattern.test(bare));
  if (found !== undefined) throw new Error(`Redshift does not know ${String(found)}: ${sql}`);
}

export const rewritten = (sql: string): string =>
  sql
    .replaceAll(ATTRIBUTES, '')
    .replaceAll('SET LOCAL query_group TO', 'SET LOCAL redshift.query_group TO')
    .replace(SNAPSHOT, '$1')
    .replace(/^VACUUM DELETE ONLY ([\s\S]+) TO 100 PERCENT$/, 'VACUUM $1');

/** Redshift takes names of 127 bytes, Postgres cuts them at 63: longer ones have a stand-in there. */
const STAND_IN_BYTES = 63;
const longNames = new Map<string, string>();

function standIn(name: string): string {
  if (Buffer.byteLength(name) <= STAND_IN_BYTES) return name;
  const short = `long_${createHash('sha256').update(name).digest('hex').slice(0, 32)}`;
  longNames.set(short, name);
  return short;
}

const withStandIns = (sql: string): string =>
  sql.replaceAll(
    new RegExp(NAME, 'g'),
    (quoted) => `"${standIn(quoted.slice(1, -1).replaceAll('""', '"')).replaceAll('"', '""')}"`,
  );

/** What the catalog tells, under the names that were asked for. */
function withoutStandIns(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null || !('rows' in answer) || !Array.isArray(answer.rows))
    return answer;
  for (const row of answer.rows) if (!Array.isArray(row)) row.name = longNames.get(row.name) ?? row.name;
  return answer;
}

export interface DriverOptions {
  /** Of the object store, where the bucket stands first in the path. */
  s3: string;
  folder: string;
  /** Every statement as it was sent. */
  onStatement?: (sql: string) => void;
}

/** A client for the pool of the warehouse. Its errors are those of the server, or of COPY as Redshift tells them. */
export function redshiftDriver(options: DriverOptions): new () => Client {
  return class extends Client {
    // The driver's type has one form per way of calling; the warehouse uses two of them.
    override query(...given: unknown[]): never {
      const [first] = given;
      return intercepted(this, options, first, (statement) =>
        Reflect.apply(plainQuery, this, [statement, ...given.slice(1)]),
      );
    }
  };
}

/** Applied to the client it is asked of. */
const plainQuery: (this: Client, ...given: unknown[]) => Promise<unknown> = Reflect.get(
  Client.prototype,
  'query',
);

type Send = (statement: unknown) => Promise<unknown>;

function intercepted(client: Client, options: DriverOptions, first: unknown, send: Send): never {
  const isObject = typeof first === 'object' && first !== null && 'text' in first;
  const text = typeof first === 'string' ? first : isObject ? first.text : undefined;
  // Streams and other submittables are this file's own.
  if (typeof text !== 'string') return Reflect.apply(send, undefined, [first]) as never;
  options.onStatement?.(text);
  const answer = async (): Promise<unknown> => {
    refuse(text);
    const copy = COPY.exec(text);
    if (copy !== null) return copyParquet(client, options, copy, send);
    if (/\bCOPY\b[\s\S]*\bs3:/.test(text)) throw new Error(`Redshift does not take this COPY: ${text}`);
    const sql = withStandIns(rewritten(text));
    if (!isObject) return send(sql);
    const values = 'values' in first && Array.isArray(first.values) ? first.values : undefined;
    const placed = values?.map((value: unknown) => (isCatalog(text) ? standIn(String(value)) : value));
    return withoutStandIns(
      await send({ ...first, text: sql, ...(placed === undefined ? {} : { values: placed }) }),
    );
  };
  return answer() as never;
}

const isCatalog = (sql: string): boolean => /\bpg_(?:attribute|namespace)\b/.test(sql);

/** What COPY of Redshift itself tells when the role may not read. */
const denied = (): Error =>
  Object.assign(new Error('S3ServiceException:Access Denied,Status 403,Error AccessDenied,Rid X'), {
    code: 'XX000',
  });

async function copyParquet(
  client: Client,
  { s3, folder }: DriverOptions,
  [, table = '', bucket = '', key = '', role = '']: RegExpExecArray,
  send: Send,
): Promise<{ rowCount: number; rows: never[] }> {
  if (role.includes('forbidden')) throw denied();
  const path = join(folder, `copied-${randomUUID()}.parquet`);
  await writeFile(path, await objectOf(s3, bucket, key));
  const heard = new AbortController();
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const duckdb = await instance.connect();
  try {
    await duckdb.run("SET TimeZone = 'UTC'");
    const described = await duckdb.runAndReadAll(
      `SELECT type, converted_type, logical_type, precision, scale, name FROM parquet_schema('${path}') OFFSET 1`,
    );
    const found = described.getRows().map((row) => row.map(String));
    await checkTypes(await columnsOf(table, send), found, async (texts) => {
      const longest = texts.map((at) => `max(strlen("${found[at]?.[5] ?? ''}"))`).join(', ');
      const [row = []] = (await duckdb.runAndReadAll(`SELECT ${longest} FROM '${path}'`)).getRows();
      return row.map(Number);
    });
    await duckdb.run(`COPY (SELECT * FROM '${path}') TO '${path}.csv' (FORMAT csv, HEADER false)`);
    const stream = copyFrom(`COPY ${withStandIns(table)} FROM STDIN (FORMAT csv)`);
    void send(stream);
    const ended = once(client, 'end', { signal: heard.signal }).then(() => {
      throw new Error('Connection terminated');
    });
    ended.catch(() => undefined);
    await Promise.race([pipeline(createReadStream(`${path}.csv`), stream), ended]);
    await send(`SET redshift.copied TO '${stream.rowCount}'`);
    return { rowCount: stream.rowCount, rows: [] };
  } finally {
    heard.abort();
    duckdb.closeSync();
    instance.closeSync();
    await Promise.all([rm(path, { force: true }), rm(`${path}.csv`, { force: true })]);
  }
}

async function objectOf(endpoint: string, bucket: string, key: string): Promise<Uint8Array> {
  const credentials = { accessKeyId: 'copy', secretAccessKey: 'copy' };
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials });
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return (await Body?.transformToByteArray()) ?? new Uint8Array();
  } catch {
    throw denied();
  } finally {
    client.destroy();
  }
}

async function columnsOf(table: string, send: Send): Promise<string[]> {
  const answer = await send(
    `SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0 ORDER BY attnum`,
  );
  const rows = typeof answer === 'object' && answer !== null && 'rows' in answer ? answer.rows : [];
  return Array.isArray(rows) ? rows.map((row: { type: string }) => row.type) : [];
}

/** "COPY from columnar data formats": by place, of fitting types, in bytes. There is no unsigned type and no time of day. */
async function checkTypes(
  columns: readonly string[],
  described: readonly string[][],
  longestOf: (texts: readonly number[]) => Promise<number[]>,
): Promise<void> {
  const failed = (what: string): Error =>
    Object.assign(new Error(`Spectrum Scan Error: ${what}`), { code: 'XX000' });
  if (columns.length !== described.length) throw failed('the number of columns differs');
  const bounded: { at: number; bytes: number }[] = [];
  for (const [at, type] of columns.entries()) {
    const [physical = '', converted = '', logical = '', precision = '', scale = ''] = described[at] ?? [];
    const held = heldType({ physical, converted, logical, precision, scale });
    const bytes = /^character varying\((\d+)\)$/.exec(type)?.[1];
    if (bytes !== undefined && held === 'text') bounded.push({ at, bytes: Number(bytes) });
    else if (held !== type) throw failed(`column ${at} is ${held}, not ${type}`);
  }
  const longest = bounded.length === 0 ? [] : await longestOf(bounded.map(({ at }) => at));
  const over = bounded.find(({ bytes }, index) => (longest[index] ?? 0) > bytes);
  if (over !== undefined) throw failed(`column ${over.at} is too long`);
}

function heldType(of: Record<'physical' | 'converted' | 'logical' | 'precision' | 'scale', string>): string {
  const { physical, converted, logical } = of;
  if (converted === 'DECIMAL') return `numeric(${of.precision},${of.scale})`;
  if (physical === 'BOOLEAN') return 'boolean';
  if (physical === 'DOUBLE') return 'double precision';
  if (physical === 'BYTE_ARRAY' && converted === 'UTF8') return 'text';
  if (physical === 'INT32' && converted === 'DATE') return 'date';
  if (physical === 'INT64' && ['INT_64', 'null'].includes(converted) && !logical.includes('Timestamp'))
    return 'bigint';
  if (physical === 'INT64' && /Timestamp.*isAdjustedToUTC=(?:1|true).*MICROS/i.test(logical))
    return 'timestamp with time zone';
  return `${physical} ${converted} ${logical}`;
}
