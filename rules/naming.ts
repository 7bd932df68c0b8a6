/** How source names become table and column names. Pure; the same set of names gives the same result on every machine. */

/** Postgres truncates identifiers at 63 bytes, the shortest limit of all warehouses. */
export const IDENTIFIER_CHARS_MAX = 63;
const SUFFIX_CHARS = 7;

/**
 * `MailingCity` → `mailing_city`, `SFDC_Id__c` → `sfdc_id__c`, `HTTPServer2Name` → `http_server2_name`.
 * Only `[a-z0-9_]` remains. A leading `_` is reserved for Headwater's own columns, so it becomes `x_`, as does a digit.
 */
export function snakeCase(name: string): string {
  const snake = name
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1_$2')
    .toLowerCase()
    .replaceAll(/[^a-z0-9_]/g, '_');
  if (snake === '') return 'x';
  if (snake.startsWith('_')) return `x${snake}`;
  return /^[0-9]/.test(snake) ? `x_${snake}` : snake;
}

/**
 * One warehouse name per source name, unique after folding and truncation. Of several names that fold to one, the name
 * that is already written in snake case keeps it, else the first in code point order; the others get a short hash of
 * their own spelling. The order of the input has no influence.
 */
export function warehouseNames(names: readonly string[]): Map<string, string> {
  const groups = new Map<string, string[]>();
  for (const name of new Set(names)) {
    const plain = shorten(snakeCase(name), name);
    groups.set(plain, [...(groups.get(plain) ?? []), name]);
  }
  const result = new Map<string, string>();
  const taken = new Set(groups.keys());
  for (const [plain, members] of [...groups].toSorted(([a], [b]) => byCodePoint(a, b))) {
    const [winner, ...others] = members.toSorted(
      (a, b) => rank(a, plain) - rank(b, plain) || byCodePoint(a, b),
    );
    if (winner !== undefined) result.set(winner, plain);
    for (const name of others) {
      const unique = suffixed(plain, name, taken);
      taken.add(unique);
      result.set(name, unique);
    }
  }
  return result;
}

function rank(name: string, plain: string): number {
  return name.toLowerCase() === plain ? 0 : 1;
}

function byCodePoint(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function shorten(snake: string, name: string): string {
  if (snake.length <= IDENTIFIER_CHARS_MAX) return snake;
  return `${snake.slice(0, IDENTIFIER_CHARS_MAX - SUFFIX_CHARS)}_${fingerprint(name)}`;
}

function suffixed(plain: string, name: string, taken: ReadonlySet<string>): string {
  const stem = plain.slice(0, IDENTIFIER_CHARS_MAX - SUFFIX_CHARS);
  for (let salt = 0; salt <= taken.size; salt++) {
    const candidate = `${stem}_${fingerprint(salt === 0 ? name : `${name}#${salt}`)}`;
    if (!taken.has(candidate)) return candidate;
  }
  throw new Error(`no free name for ${plain}`);
}

/** Six base-36 digits of FNV-1a: enough to tell a handful of colliding names apart; `suffixed` checks all the same. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let n = 0; n < text.length; n++) hash = Math.imul(hash ^ text.charCodeAt(n), 0x01000193);
  return (hash >>> 0).toString(36).padStart(6, '0').slice(-6);
}
