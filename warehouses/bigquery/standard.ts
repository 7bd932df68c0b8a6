import type { Client } from './client.ts';
import { columnName, quoted, tableName, text } from './names.ts';
import { OWN } from './system-tables.ts';

/** Texts, names, comments and words, as standard SQL writes them. */
const TOKENS = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\//g;
const NAMED_TABLE = /\b(?:from|join)\s+(?:\w+\s*\.\s*)?"/i;
const CATALOG = /\b(from|join)\s+information_schema\s*\.\s*(tables|columns|schemata)\b/gi;
/** Stand for a name and for a text while words are replaced; letters of private use, which no statement has. */
const MARKS = /[\uE000\uE001]/;
const PAIR = /(?:\uE000(\d+)\uE000|\b(golden))\s*\.\s*\uE000(\d+)\uE000/g;
const ONE = /\uE000(\d+)\uE000/g;
const WORDS: readonly [standard: RegExp, own: string][] = [
  [/\btimestamptz\b/gi, 'TIMESTAMP'],
  [/\bvarchar\b/gi, 'STRING'],
];

type Names = Pick<Client, 'dataset' | 'config'>;

/**
 * Commands ask every warehouse in standard SQL, where double quotes hold names. In BigQuery they hold texts, and no table is named
 * by a text: so a statement with a table in double quotes, or with the catalog of no dataset, is standard SQL, and is said in
 * BigQuery's words. Any other is left as it is, but for the prefix of Headwater's own dataset.
 */
export function inOwnWords(client: Names, sql: string): string {
  const plain = sql.replaceAll(TOKENS, (token) => (token.startsWith('"') ? token : ' '));
  if (MARKS.test(sql)) return sql;
  if (!NAMED_TABLE.test(plain) && plain.search(CATALOG) < 0) return prefixed(client, sql);
  const names: string[] = [];
  const texts: string[] = [];
  let own = sql.replaceAll(TOKENS, (token) => {
    if (token.startsWith("'"))
      return `\uE001${texts.push(token.slice(1, -1).replaceAll("''", "'")) - 1}\uE001`;
    if (token.startsWith('"'))
      return `\uE000${names.push(token.slice(1, -1).replaceAll('""', '"')) - 1}\uE000`;
    return ' ';
  });
  const nameAt = (at: string | undefined): string => names[Number(at)] ?? '';
  own = own
    .replaceAll(PAIR, (_, schema: string | undefined, golden: string | undefined, table: string) => {
      const dataset = client.dataset(golden ?? nameAt(schema));
      return `${quoted(dataset)}.${quoted(tableName(nameAt(table)))}`;
    })
    .replaceAll(ONE, (_, at: string) => quoted(columnName(nameAt(at))))
    .replaceAll(CATALOG, (_, word: string, view: string) => {
      const region = `region-${client.config.location.toLowerCase()}`;
      return `${word} \`${region}\`.INFORMATION_SCHEMA.${view.toUpperCase()}`;
    });
  for (const [standard, word] of WORDS) own = own.replaceAll(standard, word);
  own = prefixed(client, own);
  return own.replaceAll(/\uE001(\d+)\uE001/g, (_, at: string) => text(texts[Number(at)] ?? ''));
}

function prefixed(client: Names, sql: string): string {
  const dataset = client.dataset(OWN);
  return dataset === OWN ? sql : sql.replaceAll(/(?<![\w.`'"])_headwater\s*\./g, `${dataset}.`);
}
