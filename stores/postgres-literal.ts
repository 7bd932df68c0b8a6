/** Values inside the text of a script, for sessions with standard_conforming_strings. */

export function literal(value: string | number | null): string {
  if (value === null) return 'NULL';
  return typeof value === 'number' ? String(value) : `'${value.replaceAll("'", "''")}'`;
}

export function numbers(values: readonly (number | null)[]): string {
  return `'{${values.map((value) => value ?? 'NULL').join(',')}}'::bigint[]`;
}

export function booleans(values: readonly boolean[]): string {
  return `'{${values.map((value) => (value ? 't' : 'f')).join(',')}}'::boolean[]`;
}

/** Most texts are hashes, which need no quotes. */
const PLAIN = /^[\w-]+$/;

export function texts(values: readonly (string | null)[]): string {
  const parts = values.map((value) => {
    if (value === null) return 'NULL';
    if (PLAIN.test(value) && value.length > 4) return value;
    return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  });
  return `${literal(`{${parts.join(',')}}`)}::text[]`;
}
