import { z } from 'zod';
import { HeadwaterError } from '../../rules/errors.ts';
import { addMs } from '../../rules/time.ts';
import { ORIGIN } from '../../schemas/instant.ts';
import type { FieldType, ObjectSchema } from '../../schemas/object-schema.ts';
import { connectionNamed } from '../../config/connection-config.ts';
import { wholeNumber } from '../chosen.ts';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { withSource, type OpenedSource } from '../source.ts';

const ROWS_MAX = 20;
const BODY_BYTES_MAX = 20_000_000;
const VALUE_CHARACTERS_MAX = 32;
/** Recent changes are looked for in ever larger steps, so that a large object is not listed whole. */
const LOOK_BACK_MS = [3_600_000, 86_400_000, 30 * 86_400_000];

const recordsSchema = z.array(z.record(z.string(), z.unknown()));

export const preview: Command = {
  name: 'preview',
  summary: "An object's fields, their columns and types, and a few rows",
  usage: '<connection> <object>',
  example: 'preview salesforce Contact --rows 3',
  about: 'Reads from the source and writes nothing. Rows are real customer data.',
  options: { rows: { type: 'string', value: '<n>', help: `Rows to show, 0 to ${ROWS_MAX}; default 0` } },
  arguments: { min: 2, max: 2 },
  async run(call) {
    const { config } = await call.load();
    const [name = '', object = ''] = call.arguments;
    const count = wholeNumber('--rows', call.options.text('rows'), { min: 0, max: ROWS_MAX, or: 0 });
    const connection = connectionNamed(config, name);
    return withSource(config, connection, call.signal, async (opened) => {
      const schema = await opened.source.describe(object);
      const rows = count === 0 ? [] : await newestRows(opened, schema, count, call.signal);
      if (call.json) call.output.json({ schema, rows });
      else print(call, schema, rows);
      return EXIT.ok;
    });
  },
};

type Row = Record<string, unknown>;

async function newestRows(
  { source, definition }: OpenedSource,
  schema: ObjectSchema,
  count: number,
  signal: AbortSignal,
): Promise<Row[]> {
  const until = new Date().toISOString();
  for (const from of [...LOOK_BACK_MS.map((ms) => addMs(until, -ms)), ORIGIN]) {
    const ids: string[] = [];
    for await (const batch of source.stamps(schema, { from, until }, signal)) {
      ids.push(...batch.filter(({ deleted }) => !deleted).map(({ id }) => id));
      if (ids.length >= count) break;
    }
    if (ids.length === 0) continue;
    const rows: Row[] = [];
    for await (const page of source.fetch(schema, ids.slice(0, count), signal)) {
      rows.push(...recordsIn(await textOf(page.body), definition.capabilities.jsonRecords));
    }
    return rows.slice(0, count);
  }
  return [];
}

async function textOf(body: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX)
      throw new HeadwaterError('SOURCE_PROTOCOL', 'these rows are too large to show');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** The records of a json page, at the path that the source's capabilities name. */
function recordsIn(text: string, path: string): Row[] {
  if (text === '') return [];
  let found: unknown = JSON.parse(text);
  for (const part of path.split('.').filter(Boolean)) {
    const inner = z.record(z.string(), z.unknown()).safeParse(found).data;
    found = inner?.[part];
  }
  return recordsSchema.safeParse(found).data ?? [];
}

function print({ output }: Call, schema: ObjectSchema, rows: readonly Row[]): void {
  output.table(
    [
      { title: 'field' },
      { title: 'column' },
      { title: 'type' },
      { title: 'source type' },
      { title: '' },
      ...rows.map((_, index) => ({ title: `row ${index + 1}` })),
    ],
    schema.fields.map((field) => [
      field.name,
      field.column,
      typeWords(field.type),
      field.sourceType,
      marks(schema, field),
      ...rows.map((row) => shown(row[field.name])),
    ]),
  );
  output.line(`${schema.object} → table ${schema.table}, ${schema.fields.length} columns.`);
}

function marks(schema: ObjectSchema, field: ObjectSchema['fields'][number]): string {
  return [
    field.name === schema.key ? 'key' : '',
    field.name === schema.stamp ? 'stamp' : '',
    field.name === schema.deleted ? 'deleted flag' : '',
    field.calculated ? 'calculated' : '',
    field.custom ? 'custom' : '',
  ]
    .filter(Boolean)
    .join(', ');
}

function typeWords(type: FieldType): string {
  return type.kind === 'decimal' ? `decimal(${type.precision},${type.scale})` : type.kind;
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return '–';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length <= VALUE_CHARACTERS_MAX ? line : `${line.slice(0, VALUE_CHARACTERS_MAX - 1)}…`;
}
