/** Writes rows as REST's JSON and as Bulk's CSV. The same value looks different in each, as it does in Salesforce. */
import { NUMBER_TYPES, type FieldSpec } from './fields.ts';
import type { Value } from './makers.ts';
import { indexOfEntry, type Entry, type Reader, type Table } from './table.ts';

/** Texts that stand in JSON as they are: no quote, backslash, control character or surrogate. */
const PLAIN_JSON = /^[ !#-[\]-\uD7FF\uE000-\uFFFF]*$/;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const quoteJson = (value: string): string => (PLAIN_JSON.test(value) ? `"${value}"` : JSON.stringify(value));

/** A cell's JSON. Numbers keep all their digits; a value that does not fit its type goes out as a string, as it is. */
export function jsonCell(spec: FieldSpec): (value: Value) => string {
  const { type } = spec;
  if (NUMBER_TYPES.has(type))
    return (value) => (value === null ? 'null' : NUMBER.test(value) ? value : quoteJson(value));
  if (type === 'boolean') {
    return (value) =>
      value === null ? 'null' : value === 'true' || value === 'false' ? value : quoteJson(value);
  }
  if (type === 'datetime') {
    // REST writes the zone as +0000, Bulk as Z.
    return (value) =>
      value === null ? 'null' : quoteJson(value.endsWith('Z') ? `${value.slice(0, -1)}+0000` : value);
  }
  if (type === 'address') return (value) => value ?? 'null';
  return (value) => (value === null ? 'null' : quoteJson(value));
}

export type RowWriter = (entry: Entry) => string;

/** What rows are written from: the columns and, in the same order, their readers. */
export interface RowShape {
  readonly table: Table;
  readonly columns: readonly FieldSpec[];
  readonly readers: readonly Reader[];
}

export function jsonRow({ table, columns, readers }: RowShape, version: string): RowWriter {
  const head = `{"attributes":{"type":"${table.name}","url":"/services/data/${version}/sobjects/${table.name}/`;
  const cells = columns.map((spec, n) => {
    const read = readers[n]!;
    const cell = jsonCell(spec);
    const key = `,"${spec.name}":`;
    if (spec.type === 'base64') {
      return (entry: Entry) =>
        `${key}"/services/data/${version}/sobjects/${table.name}/${table.idOf(indexOfEntry(entry))}/${spec.name}"`;
    }
    return (entry: Entry) => key + cell(read(entry));
  });
  return (entry) => {
    let text = `${head}${table.idOf(indexOfEntry(entry))}"}`;
    for (const cell of cells) text += cell(entry);
    return `${text}}`;
  };
}

export interface CsvStyle {
  readonly delimiter: string;
  readonly lineEnding: string;
}

export const DELIMITERS: Readonly<Record<string, string>> = {
  COMMA: ',',
  TAB: '\t',
  PIPE: '|',
  SEMICOLON: ';',
  CARET: '^',
  BACKQUOTE: '`',
};

/** Every field is quoted; null is the empty pair of quotes, so that it cannot be told from an empty text. */
export function csvRow(readers: readonly Reader[], style: CsvStyle): RowWriter {
  const { delimiter, lineEnding } = style;
  const between = `"${delimiter}"`;
  return (entry) => {
    let text = '"';
    for (let n = 0; n < readers.length; n++) {
      const value = readers[n]!(entry);
      if (n > 0) text += between;
      if (value !== null) text += value.includes('"') ? value.replaceAll('"', '""') : value;
    }
    return `${text}"${lineEnding}`;
  };
}

export function csvHeader(columns: readonly FieldSpec[], style: CsvStyle): string {
  return columns.map((spec) => `"${spec.name}"`).join(style.delimiter) + style.lineEnding;
}

/** UTF-8, except that a lone surrogate becomes the three bytes a careless encoder writes, which are not valid UTF-8. */
export function encodeText(text: string): Buffer {
  if (text.isWellFormed()) return Buffer.from(text);
  const parts: Buffer[] = [];
  for (const character of text) {
    const code = character.charCodeAt(0);
    const lone = character.length === 1 && code >= 0xd800 && code <= 0xdfff;
    parts.push(
      lone
        ? Buffer.from([0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63)])
        : Buffer.from(character),
    );
  }
  return Buffer.concat(parts);
}
