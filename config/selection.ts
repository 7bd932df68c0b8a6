import { nearest } from './nearest.ts';
import type { ConnectionConfig } from './schema.ts';

/** An object as the source lists it; see ObjectListing in sources/source.ts. */
interface Listed {
  object: string;
  syncable: boolean;
  reason?: string;
}

export interface Selection {
  /** In the source's order. */
  objects: string[];
  /** Why each of the others is left out. */
  leftOut: { object: string; reason: string }[];
  /** Names in the configuration that the source does not have; a pattern that matches nothing is no mistake. */
  unknown: { object: string; nearest: string | undefined }[];
}

/** Pure: which of the source's objects a connection syncs. A name written out wins over a pattern in `exclude`. */
export function selectObjects(
  connection: Pick<ConnectionConfig, 'objects' | 'exclude'>,
  listings: readonly Listed[],
): Selection {
  const wanted = connection.objects === 'all' ? ['*'] : connection.objects;
  const selection: Selection = { objects: [], leftOut: [], unknown: [] };
  for (const { object, syncable, reason } of listings) {
    const named = wanted.includes(object);
    if (!wanted.some((pattern) => matches(pattern, object))) {
      selection.leftOut.push({ object, reason: 'not in the configuration' });
    } else if (
      connection.exclude.some((pattern) => pattern === object || (!named && matches(pattern, object)))
    ) {
      selection.leftOut.push({ object, reason: 'excluded by the configuration' });
    } else if (syncable) {
      selection.objects.push(object);
    } else {
      selection.leftOut.push({ object, reason: reason ?? 'the source does not allow it' });
    }
  }
  const known = listings.map(({ object }) => object);
  selection.unknown = wanted
    .filter((name) => !name.includes('*') && !known.includes(name))
    .map((object) => ({ object, nearest: nearest(object, known) }));
  return selection;
}

/** `*` stands for any text, `Contact` for itself. Linear in the text: no backtracking over a hostile pattern. */
export function matches(pattern: string, text: string): boolean {
  const parts = pattern.split('*');
  if (parts.length === 1) return pattern === text;
  const first = parts[0] ?? '';
  const last = parts.at(-1) ?? '';
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length)
    return false;
  let at = first.length;
  const end = text.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}
