/** A deterministic stream of changes: step k is a function of the seed and the records. */
import { mix, seedOf } from '../seeded.ts';
import { TYPES } from './catalog.ts';
import type { HubData } from './data.ts';
import type { Value } from './property.ts';
import type { Store } from './store.ts';
import { isLive, type Table } from './table.ts';

const TICK_MS = 250;
const STEPS_PER_TICK_MAX = 10_000;

export class Living {
  private readonly store: Store;
  private readonly data: HubData;
  private readonly seed: number;
  private timer: NodeJS.Timeout | undefined;
  private owed = 0;
  /** Told after steps, so that their number is written down. */
  onSteps: (steps: number) => void = () => undefined;

  constructor(store: Store, data: HubData, seed: number) {
    this.store = store;
    this.data = data;
    this.seed = seedOf(seed, 'hubspot.living');
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
    if (steps > 0) this.onSteps(this.store.livingSteps);
  }

  private step(k: number): void {
    const table = this.pickTable(mix(this.seed, k));
    const choice = mix(this.seed ^ 0x51ed, k) % 100;
    if (choice < 12) {
      this.data.create(table.name, this.someValues(table, k, true));
      return;
    }
    const index = mix(this.seed ^ 0x7ab1, k) % table.next;
    const entry = table.entry(index);
    if (entry === undefined) return;
    if (!isLive(entry)) {
      const restorable = typeof entry !== 'number' && entry.mergedInto === null && !entry.purged;
      if (restorable && choice < 60) this.data.restore(table.name, index);
      return;
    }
    if (choice < 76) this.data.update(table.name, index, this.someValues(table, k, false));
    else if (choice < 84) this.data.archive(table.name, index);
    else if (choice < 88) this.mergeSome(table, index, k);
    else this.linkSome(table, index, k);
  }

  private mergeSome(table: Table, index: number, k: number): void {
    const other = mix(this.seed ^ 0x1e3f, k) % table.next;
    const entry = table.entry(other);
    if (!table.spec.mergeable || other === index || entry === undefined || !isLive(entry)) return;
    this.data.merge(table.name, index, other);
  }

  /** Makes or breaks an association; no modified date moves. */
  private linkSome(table: Table, index: number, k: number): void {
    const { associations } = this.store;
    const to = this.store.tables.find(
      (other) => associations.typesBetween(table.name, other.name) !== undefined && other.liveRows > 0,
    );
    if (to === undefined) return;
    const now = associations.of(table.name, index, to.name);
    const first = now[0];
    if (first !== undefined && (k & 1) === 0) {
      associations.remove(table.name, index, to.name, first.index);
      return;
    }
    const other = mix(this.seed ^ 0x33aa, k) % to.next;
    const entry = to.entry(other);
    if (entry !== undefined && isLive(entry)) associations.add(table.name, index, to.name, other, []);
  }

  private pickTable(h: number): Table {
    const tables = TYPES.map(({ spec }) => this.store.table(spec.name)).filter((table) => table.baseRows > 0);
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
    return this.store.table('contacts');
  }

  /** Values borrowed from other rows' generators: one or two properties for an edit, all for a creation. */
  private someValues(table: Table, k: number, all: boolean): Record<string, Value> {
    const list = table.properties().filter((one) => !one.readOnly && !one.hasUniqueValue);
    const chosen = all
      ? list
      : list.filter((_, n) => n === mix(k, 1) % list.length || n === mix(k, 2) % list.length);
    const row = table.baseRows === 0 ? undefined : mix(this.seed, k + 7) % table.baseRows;
    const values: Record<string, Value> = {};
    for (const { name } of chosen) values[name] = row === undefined ? null : table.reader(name)(row);
    if (all && table.name === 'contacts') values['email'] = `newcomer${k}@post.example`;
    if (all && table.spec.custom) values[table.spec.primaryDisplay] = `N-${k}`;
    return values;
  }
}
