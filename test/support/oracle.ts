/** Compares a table of the warehouse with the org's own rows, apart from the product's code: names and values by plain rules. */
import type { SalesforceSandbox, TruthRow } from '../../sandbox/salesforce/server.ts';

const LINES_MAX = 8;
const PREFIXED = /^_/;

export type Query = (sql: string) => Promise<Record<string, unknown>[]>;

/** Lines such as `0031…: email differs`, never values; at most a few and then how many more. Empty: all is equal. */
export async function differences(
  sandbox: SalesforceSandbox,
  object: string,
  query: Query,
  table: string,
): Promise<string[]> {
  const described = await query(
    `SELECT column_name, data_type FROM information_schema.columns WHERE table_schema || '.' || table_name = '${table}'`,
  );
  const types = new Map(described.map((row) => [String(row['column_name']), String(row['data_type'])]));
  const columns = [...types.keys()].filter((name) => !PREFIXED.test(name));
  const select = [...columns, '_deleted', '_version'].map((name) => `"${name}"::VARCHAR AS "${name}"`);
  const held = Map.groupBy(await query(`SELECT ${select.join(', ')} FROM ${table}`), (row) =>
    String(row['id']),
  );
  const found: string[] = [];
  for (const [id, rows] of held) if (rows.length > 1) found.push(`${id}: ${rows.length} rows`);
  const seen = new Set<string>();
  for await (const truth of sandbox.data.truth(object)) {
    seen.add(truth.Id);
    const row = held.get(truth.Id)?.[0];
    if (row === undefined) found.push(`${truth.Id}: missing${truth.IsDeleted ? ' (deleted)' : ''}`);
    else found.push(...compare(truth, row, types));
  }
  for (const [id, rows] of held)
    if (!seen.has(id) && rows[0]?.['_deleted'] !== 'true') found.push(`${id}: erased, yet alive`);
  if (found.length <= LINES_MAX) return found;
  return [...found.slice(0, LINES_MAX), `… and ${found.length - LINES_MAX} more`];
}

function compare(truth: TruthRow, row: Record<string, unknown>, types: Map<string, string>): string[] {
  const found: string[] = [];
  if ((row['_deleted'] === 'true') !== truth.IsDeleted) found.push(`${truth.Id}: _deleted differs`);
  if (Date.parse(String(row['_version'])) !== truth.stampMs) found.push(`${truth.Id}: _version differs`);
  const byName = new Map([...types.keys()].map((column) => [plain(column), column]));
  for (const [name, value] of Object.entries(truth.values)) {
    const column = byName.get(plain(name));
    // An address is a compound of fields that are all there by themselves.
    if (column === undefined && name.endsWith('Address')) continue;
    if (column === undefined) found.push(`${truth.Id}: ${name} has no column`);
    else if (!same(String(types.get(column)), value, row[column]))
      found.push(`${truth.Id}: ${column} differs`);
  }
  return found;
}

const plain = (name: string) => name.replaceAll('_', '').toLowerCase();

/** An empty text is null in the source's own exports; every other text must be itself. */
function same(type: string, wanted: string | null | undefined, got: unknown): boolean {
  if (wanted === null || wanted === undefined || wanted === '') return got === null;
  if (typeof got !== 'string') return false;
  if (/^boolean$/i.test(type)) return got === wanted.toLowerCase();
  if (/^timestamp/i.test(type)) return Date.parse(got) === Date.parse(wanted);
  if (/^(?:decimal|numeric)/i.test(type)) return digits(got) === digits(wanted);
  if (/^(?:double|bigint)/i.test(type)) return Number(got) === Number(wanted);
  return got === wanted;
}

/** One way to write an exact number: no zeros at the end, no sign on zero. */
function digits(text: string): string {
  const trimmed = text.includes('.') ? text.replace(/\.?0+$/, '') : text;
  return trimmed === '-0' ? '0' : trimmed.replace(/^(-?)0+(?=\d)/, '$1');
}
