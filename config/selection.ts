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
  /** Names in the configuration that the source does not have. */
  unknown: { object: string; nearest: string | undefined }[];
}

/** Pure: which of the source's objects a connection syncs. `exclude` wins over `objects`. */
export function selectObjects(
  connection: Pick<ConnectionConfig, 'objects' | 'exclude'>,
  listings: readonly Listed[],
): Selection {
  const { objects: wanted, exclude } = connection;
  const selection: Selection = { objects: [], leftOut: [], unknown: [] };
  for (const { object, syncable, reason } of listings) {
    if (!syncable) {
      selection.leftOut.push({ object, reason: reason ?? 'the source does not allow it' });
    } else if (wanted !== 'all' && !wanted.includes(object)) {
      selection.leftOut.push({ object, reason: 'not in the configuration' });
    } else if (exclude.includes(object)) {
      selection.leftOut.push({ object, reason: 'excluded by the configuration' });
    } else {
      selection.objects.push(object);
    }
  }
  const known = listings.map(({ object }) => object);
  const named = wanted === 'all' ? [] : wanted;
  selection.unknown = named
    .filter((name) => !known.includes(name))
    .map((object) => ({ object, nearest: nearest(object, known) }));
  return selection;
}
