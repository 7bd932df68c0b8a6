// Part of plan and erase: which windows a further warehouse can still get from the stage.
import type { Window } from '../schemas/window.ts';
import type { Dependencies } from './dependencies.ts';

/**
 * A warehouse that was added later lacks windows whose files are gone: no try can land them, and they must not hold up those behind
 * them. Its coverage shows the hole, `migrate` fills it.
 */
export async function stillStaged({ ledger, stage }: Dependencies, windows: Window[]): Promise<Window[]> {
  const found: Window[] = [];
  for (const window of windows) {
    // Without slices it is empty, which needs no file, or was taken over from another warehouse, which has none.
    if (window.slices.length === 0) continue;
    const { slices } = await ledger.progress(window.id);
    const keys = slices.flatMap(({ batch }) =>
      batch === null ? [] : [...batch.rows, batch.tombstones, batch.quarantine].filter((key) => key !== null),
    );
    const shaped = slices.every(({ batch }) => batch !== null);
    const there = await Promise.all(keys.map((key) => stage.exists(key)));
    if (shaped && there.every(Boolean)) found.push(window);
  }
  return found;
}
