/** Which records belong together. Base links are computed; only what was added or taken away since is kept. */
import { LINKS, USER_LABELS, baseTarget, type LinkContext, type LinkSpec } from './links.ts';

export interface TypeOfLink {
  readonly category: 'HUBSPOT_DEFINED' | 'USER_DEFINED';
  readonly typeId: number;
  readonly label: string | null;
}

export interface Linked {
  readonly index: number;
  readonly types: readonly TypeOfLink[];
}

/** A change of one association; an empty list of types takes it away. */
export interface LinkChange {
  readonly from: string;
  readonly to: string;
  readonly fromIndex: number;
  readonly toIndex: number;
  /** In the direction of the pair's spec. */
  readonly typeIds: readonly number[];
}

class Pair {
  readonly spec: LinkSpec;
  readonly target: (index: number) => number;
  /** By row, the other rows with their types as they are now; a pair that is absent here is as in the base. */
  readonly changed = new Map<number, Map<number, readonly number[]>>();
  readonly changedBack = new Map<number, Set<number>>();
  private readonly rows: number;
  private readonly backRows: number;
  private starts: Int32Array | undefined;
  private sources: Int32Array = new Int32Array();

  constructor(spec: LinkSpec, context: LinkContext) {
    this.spec = spec;
    this.rows = context.countOf(spec.from);
    this.backRows = context.countOf(spec.to);
    const target = baseTarget(spec, context);
    this.target = (index) => (index < this.rows ? target(index) : -1);
  }

  /** The base rows that link to this one. The reverse is counted once, in two compact arrays. */
  sourcesOf(index: number): Int32Array {
    if (index >= this.backRows) return new Int32Array();
    if (this.starts === undefined) this.reverse();
    return this.sources.subarray(this.starts![index], this.starts![index + 1]);
  }

  private reverse(): void {
    const starts = new Int32Array(this.backRows + 1);
    for (let i = 0; i < this.rows; i++) {
      const to = this.target(i);
      if (to >= 0) starts[to + 1]!++;
    }
    for (let n = 0; n < this.backRows; n++) starts[n + 1]! += starts[n]!;
    const sources = new Int32Array(starts[this.backRows]!);
    const at = starts.slice();
    for (let i = 0; i < this.rows; i++) {
      const to = this.target(i);
      if (to >= 0) sources[at[to]!++] = i;
    }
    this.starts = starts;
    this.sources = sources;
  }

  baseTypes(): readonly number[] {
    const { typeId, primary } = this.spec;
    return primary === null ? [typeId] : [typeId, primary.typeId];
  }

  set(from: number, to: number, typeIds: readonly number[]): void {
    const targets = this.changed.get(from) ?? new Map<number, readonly number[]>();
    targets.set(to, typeIds);
    this.changed.set(from, targets);
    const back = this.changedBack.get(to) ?? new Set<number>();
    back.add(from);
    this.changedBack.set(to, back);
  }

  typesOf(from: number, to: number): readonly number[] {
    return this.changed.get(from)?.get(to) ?? (this.target(from) === to ? this.baseTypes() : []);
  }

  targetsOf(from: number): number[] {
    const base = this.target(from);
    const all = new Set([...(base < 0 ? [] : [base]), ...(this.changed.get(from)?.keys() ?? [])]);
    return [...all].filter((to) => this.typesOf(from, to).length > 0);
  }

  sourcesNow(to: number): number[] {
    const all = new Set([...this.sourcesOf(to), ...(this.changedBack.get(to) ?? [])]);
    return [...all].filter((from) => this.typesOf(from, to).length > 0);
  }
}

export class Associations {
  private readonly pairs = new Map<string, Pair>();
  onChange: (change: LinkChange) => void = () => undefined;

  constructor(context: LinkContext) {
    for (const spec of LINKS) this.pairs.set(`${spec.from}/${spec.to}`, new Pair(spec, context));
  }

  /** The types of a direction, with their labels; undefined when the two object types cannot be associated here. */
  typesBetween(from: string, to: string): readonly TypeOfLink[] | undefined {
    const forward = this.pairs.get(`${from}/${to}`);
    const pair = forward ?? this.pairs.get(`${to}/${from}`);
    if (pair === undefined) return undefined;
    const ids = [
      pair.spec.typeId,
      ...(pair.spec.primary === null ? [] : [pair.spec.primary.typeId]),
      ...USER_LABELS.filter((one) => one.from === pair.spec.from && one.to === pair.spec.to).map(
        (one) => one.typeId,
      ),
    ];
    return ids.map((id) => named(pair.spec, id, forward !== undefined));
  }

  /** What a row is associated with, by index. */
  of(from: string, index: number, to: string): readonly Linked[] {
    const forward = this.pairs.get(`${from}/${to}`);
    const back = this.pairs.get(`${to}/${from}`);
    if (forward !== undefined) {
      return forward
        .targetsOf(index)
        .toSorted((a, b) => a - b)
        .map((other) => linked(forward.spec, other, forward.typesOf(index, other), true));
    }
    if (back === undefined) return [];
    return back
      .sourcesNow(index)
      .toSorted((a, b) => a - b)
      .map((other) => linked(back.spec, other, back.typesOf(other, index), false));
  }

  /** Adds types to an association, or makes it; ids are those of the direction. Modified dates do not move. */
  add(from: string, index: number, to: string, other: number, typeIds: readonly number[]): void {
    const change = this.directed(from, index, to, other, typeIds);
    const pair = this.pairs.get(`${change.from}/${change.to}`)!;
    const now = pair.typesOf(change.fromIndex, change.toIndex);
    // A labelled association always has the plain type too.
    this.apply({ ...change, typeIds: [...new Set([pair.spec.typeId, ...now, ...change.typeIds])] });
  }

  /** Takes these types away, or all of them. */
  remove(from: string, index: number, to: string, other: number, typeIds?: readonly number[]): void {
    const change = this.directed(from, index, to, other, typeIds ?? []);
    const pair = this.pairs.get(`${change.from}/${change.to}`)!;
    const now = pair.typesOf(change.fromIndex, change.toIndex);
    const left = typeIds === undefined ? [] : now.filter((id) => !change.typeIds.includes(id));
    if (now.length > 0) this.apply({ ...change, typeIds: left });
  }

  /** Gives everything that one record has to another, as a merge does. */
  move(object: string, index: number, heir: number): void {
    for (const [key, pair] of this.pairs) {
      const [from = '', to = ''] = key.split('/');
      if (from === object) {
        for (const other of pair.targetsOf(index)) {
          const typeIds = pair.typesOf(index, other);
          this.apply({ from, to, fromIndex: heir, toIndex: other, typeIds });
          this.apply({ from, to, fromIndex: index, toIndex: other, typeIds: [] });
        }
      } else if (to === object) {
        for (const other of pair.sourcesNow(index)) {
          const typeIds = pair.typesOf(other, index);
          this.apply({ from, to, fromIndex: other, toIndex: heir, typeIds });
          this.apply({ from, to, fromIndex: other, toIndex: index, typeIds: [] });
        }
      }
    }
  }

  apply(change: LinkChange): void {
    this.pairs.get(`${change.from}/${change.to}`)?.set(change.fromIndex, change.toIndex, change.typeIds);
    this.onChange(change);
  }

  private directed(
    from: string,
    index: number,
    to: string,
    other: number,
    ids: readonly number[],
  ): LinkChange {
    if (this.pairs.has(`${from}/${to}`)) return { from, to, fromIndex: index, toIndex: other, typeIds: ids };
    const pair = this.pairs.get(`${to}/${from}`);
    if (pair === undefined) throw new Error(`${from} and ${to} cannot be associated`);
    return {
      from: to,
      to: from,
      fromIndex: other,
      toIndex: index,
      typeIds: ids.map((id) => turned(pair.spec, id)),
    };
  }
}

/** The id of the opposite direction's type. */
function turned(spec: LinkSpec, id: number): number {
  if (id === spec.backTypeId) return spec.typeId;
  if (id === spec.typeId) return spec.backTypeId;
  if (id === spec.primary?.backTypeId) return spec.primary.typeId;
  if (id === spec.primary?.typeId) return spec.primary.backTypeId;
  const label = USER_LABELS.find((one) => one.typeId === id || one.backTypeId === id);
  return label === undefined ? id : label.typeId === id ? label.backTypeId : label.typeId;
}

function linked(spec: LinkSpec, index: number, typeIds: readonly number[], forward: boolean): Linked {
  return { index, types: typeIds.map((id) => named(spec, id, forward)) };
}

function named(spec: LinkSpec, id: number, forward: boolean): TypeOfLink {
  const label = USER_LABELS.find((one) => one.typeId === id && one.from === spec.from && one.to === spec.to);
  return {
    category: label === undefined ? spec.category : 'USER_DEFINED',
    typeId: forward ? id : turned(spec, id),
    label: label?.label ?? (id === spec.primary?.typeId ? 'Primary' : null),
  };
}
