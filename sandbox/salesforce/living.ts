/** A deterministic stream of edits, creations, deletions and restorations: step k is a function of the seed and the rows. */
import { STANDARD_OBJECTS } from './catalog.ts';
import type { SandboxData } from './data.ts';
import { type Value } from './makers.ts';
import { mix, seedOf } from '../seeded.ts';
import type { Store } from './store.ts';
import type { Table } from './table.ts';

const TICK_MS = 250;
const STEPS_PER_TICK_MAX = 10_000;

export class Living {
  private readonly store: Store;
  private readonly data: SandboxData;
  private readonly seed: number;
  private timer: NodeJS.Timeout | undefined;
  private owed = 0;

  constructor(store: Store, data: SandboxData, seed: number) {
    this.store = store;
    this.data = data;
    this.seed = seedOf(seed, 'living');
  }

  start(changesPerMinute: number): void {
    this.stop();
    this.timer = setInterval(() => {
      this.owed = Math.min(STEPS_PER_TICK_MAX, this.owed + (changesPerMinute * TICK_MS) / 60_000);
      const steps = Math.floor(this.owed);
      this.owed -= steps;
      this.run(steps);
    }, TICK_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
    this.timer = undefined;
  }

  /** Applies the next steps at once. */
  run(steps: number): void {
    for (let n = 0; n < steps; n++) this.step(this.store.livingSteps++);
    if (steps > 0) this.store.journal.append({ living: this.store.livingSteps });
    this.store.journal.flush();
  }

  private step(k: number): void {
    const h = mix(this.seed, k);
    const table = this.pickTable(h);
    const choice = mix(this.seed ^ 0x51ed, k) % 100;
    if (choice < 12) {
      this.data.create(table.name, this.someValues(table, k, true));
      return;
    }
    if (choice >= 97) {
      const deleted = [...table.byDeletion.range(0, Number.POSITIVE_INFINITY)].at(-1);
      const row = deleted === undefined ? undefined : table.overlay.get(deleted.index);
      if (row !== undefined && !row.purged && row.masterId === null)
        this.data.undelete(table.name, row.index);
      return;
    }
    const index = mix(this.seed ^ 0x7ab1, k) % table.next;
    const entry = table.entry(index);
    if (entry === undefined || (typeof entry !== 'number' && entry.deletedAt !== null)) return;
    if (choice >= 92) this.data.delete(table.name, index);
    else this.data.update(table.name, index, this.someValues(table, k, false));
  }

  private pickTable(h: number): Table {
    const tables = STANDARD_OBJECTS.map(({ spec }) => this.store.table(spec.name)).filter(
      (t) => t.baseRows > 0,
    );
    let at =
      h %
      Math.max(
        1,
        tables.reduce((sum, table) => sum + table.baseRows, 0),
      );
    for (const table of tables) {
      if (at < table.baseRows) return table;
      at -= table.baseRows;
    }
    return this.store.table('Contact');
  }

  /** Values borrowed from other rows' generators: one to three fields for an edit, all for a creation. */
  private someValues(table: Table, k: number, all: boolean): Record<string, Value> {
    const fields = table
      .allFields()
      .filter((f) => f.createable && f.updateable && !f.unique && f.type !== 'base64');
    const chosen = all
      ? fields
      : fields.filter(
          (_, n) => n % fields.length === mix(k, 1) % fields.length || n === mix(k, 2) % fields.length,
        );
    return Object.fromEntries(
      chosen.map((f) => [
        f.name,
        table.baseRows === 0 ? null : table.reader(f.name)(mix(this.seed, k + 7) % table.baseRows),
      ]),
    );
  }
}
