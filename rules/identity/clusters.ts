/** Union-find over texts, where every set knows its members and some sets may never meet. */
export class Clusters {
  readonly #parents = new Map<string, string>();
  readonly #members = new Map<string, string[]>();
  readonly #apart = new Map<string, Set<string>>();

  constructor(nodes: Iterable<string>) {
    for (const node of nodes) {
      this.#parents.set(node, node);
      this.#members.set(node, [node]);
    }
  }

  /** Undefined for a node that is not here. */
  rootOf(node: string): string | undefined {
    let root = this.#parents.get(node);
    if (root === undefined) return undefined;
    for (
      let next = this.#parents.get(root);
      next !== undefined && next !== root;
      next = this.#parents.get(root)
    ) {
      root = next;
    }
    for (let at = node; at !== root;) {
      const next = this.#parents.get(at) ?? root;
      this.#parents.set(at, root);
      at = next;
    }
    return root;
  }

  /** These two shall never be in one set; told before the first union. */
  keepApart(left: string, right: string): void {
    for (const [node, other] of [
      [left, right],
      [right, left],
    ] as const) {
      const others = this.#apart.get(node) ?? new Set();
      others.add(other);
      this.#apart.set(node, others);
    }
  }

  size(root: string): number {
    return this.#members.get(root)?.length ?? 0;
  }

  /** Whether the sets of two roots hold a pair that shall never meet. */
  areApart(left: string, right: string): boolean {
    return [...(this.#apart.get(left) ?? [])].some((other) => this.rootOf(other) === right);
  }

  unite(left: string, right: string): void {
    const [into, from] = this.size(left) >= this.size(right) ? [left, right] : [right, left];
    this.#parents.set(from, into);
    const members = this.#members.get(into) ?? [];
    for (const member of this.#members.get(from) ?? []) members.push(member);
    this.#members.delete(from);
    const others = this.#apart.get(from);
    if (others) this.#apart.set(into, new Set([...(this.#apart.get(into) ?? []), ...others]));
  }

  /** Every set with its members sorted, the sets by their first member. */
  sets(): string[][] {
    return [...this.#members.values()]
      .map((members) => members.toSorted())
      .toSorted(([left = ''], [right = '']) => (left < right ? -1 : 1));
  }
}

/** What is left of a set of records when edges are taken out: its connected parts. */
export function componentsWithout(
  nodes: readonly string[],
  edges: readonly (readonly [string, string])[],
  removed: readonly [string, string],
): string[][] {
  const [a, b] = removed;
  const clusters = new Clusters(nodes);
  for (const [left, right] of edges) {
    if ((left === a && right === b) || (left === b && right === a)) continue;
    const [one, other] = [clusters.rootOf(left), clusters.rootOf(right)];
    if (one !== undefined && other !== undefined && one !== other) clusters.unite(one, other);
  }
  return clusters.sets();
}
