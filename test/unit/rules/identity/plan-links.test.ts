import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { componentsWithout } from '../../../../rules/identity/clusters.ts';
import { isBlocked } from '../../../../rules/identity/guards.ts';
import { type LinkInput, type LinkRecord, partition, refKey } from '../../../../rules/identity/partition.ts';
import { type KnownProfile, type LinkDecision, planLinks } from '../../../../rules/identity/plan-links.ts';
import { law } from '../golden/histories.ts';

const ref = (record: string) => ({ source: 'crm', object: 'Contact', record });
const record = (id: string, ...emails: string[]): LinkRecord => ({
  ref: ref(id),
  identifiers: emails.map((value) => ({ kind: value.startsWith('+') ? 'phone' : 'email', value })),
});
const short = (clusters: string[][]) =>
  clusters.map((keys) => keys.map((key) => key.split(':')[2]).join('')).join(' ');
const made = (input: LinkInput) => short(partition(input).clusters);

/** Profiles after a plan was carried out in the order of its decisions. */
class World {
  profiles: (KnownProfile & { records: { source: string; object: string; record: string }[] })[] = [];
  #created = 0;

  apply(input: LinkInput): LinkDecision[] {
    const { decisions } = planLinks({ ...input, profiles: this.profiles });
    for (const decision of decisions) this.#carryOut(decision);
    this.profiles = this.profiles.filter(({ records }) => records.length > 0);
    return decisions;
  }

  #carryOut(decision: LinkDecision): void {
    if (decision.kind === 'merge') {
      const from = this.profiles.find(({ id }) => id === decision.from);
      this.#find(decision.into).records.push(...(from?.records.splice(0) ?? []));
    } else if (decision.kind === 'join' || decision.kind === 'create') {
      this.#created += 1;
      if (decision.kind === 'create')
        this.profiles.push({ id: `p${this.#created}`, created: this.#created, records: [] });
      const into = decision.kind === 'join' ? this.#find(decision.profile) : this.profiles.at(-1);
      for (const moved of decision.records) {
        for (const profile of this.profiles) {
          profile.records = profile.records.filter((other) => refKey(other) !== refKey(moved));
        }
        into?.records.push({ ...moved });
      }
    }
  }

  #find(id: string) {
    const found = this.profiles.find((profile) => profile.id === id);
    if (!found) throw new Error(`no profile ${id}`);
    return found;
  }

  get clusters(): string {
    const sets = this.profiles.map(({ records }) => records.map((one) => refKey(one)).toSorted());
    return short(sets.toSorted(([left = ''], [right = '']) => (left < right ? -1 : 1)));
  }
}

describe('which records are one', () => {
  const many = Array.from({ length: 11 }, (_, index) => record(String.fromCharCode(97 + index), 'info@a'));

  test.each<[string, LinkInput, string]>([
    [
      'a shared identifier links, over several steps',
      { records: [record('a', 'x@a'), record('b', 'x@a', '+1'), record('c', '+1'), record('d')] },
      'abc d',
    ],
    [
      'kinds are apart',
      { records: [record('a', 'x'), { ref: ref('b'), identifiers: [{ kind: 'phone', value: 'x' }] }] },
      'a b',
    ],
    [
      'a blocked value links nothing',
      { records: [record('a', 'null', '+000'), record('b', 'null', '+000')] },
      'a b',
    ],
    [
      'one of our own too',
      {
        records: [record('a', 'no@reply'), record('b', 'no@reply')],
        guards: { blocked: new Set(['no@reply']) },
      },
      'a b',
    ],
    ['an identifier at its limit links', { records: many.slice(1) }, 'bcdefghijk'],
    ['an identifier over its limit links none', { records: many }, 'a b c d e f g h i j k'],
    [
      'holders that were not read count',
      { records: many.slice(0, 2), holders: new Map([['email:info@a', 11]]) },
      'a b',
    ],
    ['the limit of a kind', { records: many.slice(0, 3), guards: { recordsMax: { email: 2 } } }, 'a b c'],
    [
      'an operator links',
      { records: [record('a'), record('b')], stated: [{ a: ref('b'), b: ref('a'), by: 'operator' }] },
      'ab',
    ],
    [
      'kept apart',
      {
        records: [record('a', 'x'), record('b', 'x'), record('c', 'x')],
        apart: [{ a: ref('b'), b: ref('a') }],
      },
      'ac b',
    ],
    [
      'kept apart from all that came before',
      {
        records: [record('a', 'x'), record('b', 'x'), record('c', 'x')],
        apart: [{ a: ref('b'), b: ref('c') }],
      },
      'ab c',
    ],
    [
      'kept apart over others',
      {
        records: [record('a', 'x'), record('b', 'x', '+1'), record('c', '+1')],
        apart: [{ a: ref('a'), b: ref('c') }],
      },
      'ab c',
    ],
    [
      'too large',
      { records: [record('a', 'x', '+1'), record('b', 'x'), record('c', '+1')], guards: { clusterMax: 2 } },
      'ab c',
    ],
    [
      'too large, but stated',
      {
        records: [record('a', 'x'), record('b', 'x'), record('c')],
        guards: { clusterMax: 2 },
        stated: [{ a: ref('a'), b: ref('c'), by: 'source' }],
      },
      'ac b',
    ],
    [
      'an operator may make it larger',
      {
        records: [record('a'), record('b'), record('c')],
        guards: { clusterMax: 2 },
        stated: [
          { a: ref('a'), b: ref('c'), by: 'operator' },
          { a: ref('b'), b: ref('a'), by: 'operator' },
        ],
      },
      'abc',
    ],
    [
      'a record that is not here links nothing',
      { records: [record('a')], stated: [{ a: ref('a'), b: ref('z'), by: 'source' }] },
      'a',
    ],
  ])('%s', (_, input, clusters) => {
    expect(made(input)).toBe(clusters);
    expect(made({ ...input, records: input.records.toReversed() })).toBe(clusters);
  });

  test('a stated link has no direction', () => {
    const [a, b, c] = [ref('a'), ref('b'), ref('c')];
    const by = 'operator' as const;
    const input = { records: [record('a'), record('b'), record('c')], apart: [{ a, b }] };
    expect(
      made({
        ...input,
        stated: [
          { a: c, b: a, by },
          { a: b, b: c, by },
        ],
      }),
    ).toBe('ac b');
    expect(
      made({
        ...input,
        stated: [
          { a: c, b, by },
          { a, b: c, by },
        ],
      }),
    ).toBe('ac b');
  });

  test.each(['', ' ', 'null', 'NULL', '-1', '0000000', '000-0000', '+00', 'N/A', '0'])(
    '%j identifies nobody',
    (value) => {
      expect(isBlocked({ kind: 'phone', value })).toBe(true);
    },
  );
  test.each(['5', '1111111', 'o@o', '+49301', '00001', 'na@x'])('%j identifies', (value) => {
    expect(isBlocked({ kind: 'phone', value })).toBe(false);
  });
});

describe('decisions', () => {
  test('create, join, merge into the earliest-created, each with its reason', () => {
    const world = new World();
    const [a, b, c, d] = [
      record('a', 'a@x'),
      record('b', 'b@x'),
      record('c', 'a@x'),
      record('d', 'a@x', 'b@x'),
    ];
    expect(world.apply({ records: [b] })).toMatchObject([{ kind: 'create', from: null, rule: '' }]);
    expect(world.apply({ records: [b, a] })).toMatchObject([{ kind: 'create', records: [a.ref] }]);
    expect(world.apply({ records: [a, c] })).toMatchObject([
      {
        kind: 'join',
        profile: 'p2',
        records: [c.ref],
        from: null,
        rule: 'same email',
        evidence: 'same email, held by 2 records',
      },
    ]);
    expect(world.apply({ records: [d, c, a, b] })).toMatchObject([
      { kind: 'merge', into: 'p1', from: 'p2', rule: 'same email' },
      { kind: 'join', profile: 'p1', records: [d.ref] },
    ]);
    expect(world.clusters).toBe('abcd');
    expect(world.apply({ records: [d, c, a, b] })).toEqual([]);
  });

  test('a link that is not safe goes to review, with words and without a value', () => {
    const records = [record('a', 'jane@x'), record('b', 'jane@x')];
    const apart = [{ a: ref('a'), b: ref('b') }];
    const { decisions } = planLinks({ records, apart, profiles: [] });
    expect(decisions.map(({ kind }) => kind)).toEqual(['create', 'create', 'review']);
    expect(decisions[2]).toEqual({
      kind: 'review',
      a: ref('a'),
      b: ref('b'),
      rule: 'same email',
      evidence: 'same email, held by 2 records, but an operator keeps records of both sides apart',
    });
    expect(JSON.stringify(decisions)).not.toContain('jane');
  });

  test('a profile that loses most of its records keeps the rest', () => {
    const profiles = [
      { id: 'old', created: 1, records: [ref('a')] },
      { id: 'new', created: 2, records: [ref('b'), ref('c'), ref('d')] },
    ];
    const records = [record('a', 'x'), record('b', 'x'), record('c', 'x'), record('d')];
    expect(planLinks({ records, profiles }).decisions).toMatchObject([
      { kind: 'join', profile: 'old', records: [ref('b'), ref('c')], from: 'new' },
    ]);
  });

  test('an identifier that passes its limit takes apart what it held together', () => {
    const world = new World();
    const guards = { recordsMaxDefault: 2 };
    world.apply({ records: [record('a', 'x'), record('b', 'x')], guards });
    const decisions = world.apply({
      records: [record('a', 'x'), record('b', 'x'), record('c', 'x')],
      guards,
    });
    expect(decisions).toMatchObject([
      { kind: 'create', records: [ref('b')], from: 'p1', rule: 'apart' },
      { kind: 'create', records: [ref('c')], from: null },
    ]);
    expect(world.clusters).toBe('a b c');
  });
});

const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
const pair = fc
  .subarray(IDS, { minLength: 2, maxLength: 2 })
  .map(([a = '', b = '']) => ({ a: ref(a), b: ref(b) }));
const scene = fc.record({
  records: fc
    .tuple(
      ...IDS.map((id) =>
        fc.subarray(['x', 'y', '+1', '0'], { maxLength: 2 }).map((all) => record(id, ...all)),
      ),
    )
    .chain((all) => fc.shuffledSubarray(all, { minLength: 1 })),
  stated: fc.array(
    fc
      .tuple(pair, fc.constantFrom('operator' as const, 'source' as const))
      .map(([both, by]) => ({ ...both, by })),
    { maxLength: 2 },
  ),
  apart: fc.array(pair, { maxLength: 3 }),
  guards: fc.record({
    recordsMaxDefault: fc.integer({ min: 2, max: 5 }),
    clusterMax: fc.integer({ min: 2, max: 6 }),
  }),
});

describe('laws', () => {
  law(
    'the final partition does not depend on the order of arrival, nor on records that come twice',
    fc.property(scene, fc.infiniteStream(fc.nat()), (all, stream) => {
      const world = new World();
      const arrived: LinkRecord[] = [];
      for (const one of all.records) {
        const position = (stream.next().value ?? 0) % (arrived.length + 1);
        arrived.splice(position, 0, one);
        world.apply({
          ...all,
          records: [...arrived, one],
          stated: all.stated.map((said) => ({ ...said, a: said.b, b: said.a })).toReversed(),
        });
      }
      expect(world.clusters).toBe(
        made({ ...all, records: all.records.toSorted((a, b) => (refKey(a.ref) < refKey(b.ref) ? -1 : 1)) }),
      );
    }),
  );

  law(
    'nobody is lost or doubled, and what shall stay apart is apart',
    fc.property(scene, (all) => {
      const { clusters, links } = partition(all);
      expect(clusters.flat().toSorted()).toEqual(all.records.map((one) => refKey(one.ref)).toSorted());
      expect(links).toHaveLength(all.records.length - clusters.length);
      for (const { a, b } of all.apart) {
        expect(clusters.some((keys) => keys.includes(refKey(a)) && keys.includes(refKey(b)))).toBe(false);
      }
      const trees = componentsWithout(
        clusters.flat(),
        links.map(({ a, b }) => [refKey(a), refKey(b)] as const),
        ['', ''],
      );
      expect(trees).toEqual(clusters);
    }),
  );

  law(
    'without guards and constraints, records are one exactly when a path of shared identifiers connects them',
    fc.property(scene, ({ records }) => {
      const values = (one: LinkRecord) =>
        one.identifiers.map(({ value }) => value).filter((value) => value !== '0');
      const reached = (from: LinkRecord) => {
        let found = [from];
        for (const _ of records) {
          const known = new Set(found.flatMap(values));
          found = records.filter((one) => one === from || values(one).some((value) => known.has(value)));
        }
        return found.map((one) => refKey(one.ref)).toSorted();
      };
      const { clusters } = partition({ records });
      for (const one of records) expect(clusters).toContainEqual(reached(one));
    }),
  );

  law(
    'unmerge after merge is the identity',
    fc.property(scene, pair, (all, { a, b }) => {
      fc.pre([a, b].every((one) => all.records.some((found) => refKey(found.ref) === refKey(one))));
      const world = new World();
      world.apply(all);
      const before = { clusters: world.clusters, plan: partition(all) };
      world.apply({ ...all, stated: [...all.stated, { a, b, by: 'operator' }] });
      world.apply(all);
      expect(world.clusters).toBe(before.clusters);

      const sets = before.plan.clusters;
      const [left, right] = [
        sets.find((keys) => keys.includes(refKey(a))),
        sets.find((keys) => keys.includes(refKey(b))),
      ];
      fc.pre(left !== right);
      const edges = before.plan.links.map((link) => [refKey(link.a), refKey(link.b)] as const);
      const added = [refKey(a), refKey(b)] as const;
      const merged = componentsWithout(sets.flat(), [...edges, added], ['', '']);
      expect(merged).toHaveLength(sets.length - 1);
      const back = [added[1], added[0]] as const;
      for (const removed of [added, back]) {
        expect(componentsWithout(sets.flat(), [...edges, added], removed)).toEqual(sets);
      }
    }),
  );

  law(
    'a merge keeps the earliest-created profile of those that become one',
    fc.property(scene, (all) => {
      const age = new Map(all.records.map((one, created) => [refKey(one.ref), created]));
      const profiles = all.records.map(({ ref: own }, created) => ({
        id: `p${99 - created}`,
        created,
        records: [own],
      }));
      const { clusters, decisions } = planLinks({ ...all, profiles: profiles.toReversed() });
      const merges = decisions.flatMap((one) =>
        one.kind === 'merge' ? [`${one.from} into ${one.into}`] : [],
      );
      const expected = clusters.flatMap((keys) => {
        const [oldest, ...others] = keys.flatMap((key) => age.get(key) ?? []).toSorted((x, y) => x - y);
        return others.map((created) => `p${99 - created} into p${99 - (oldest ?? 0)}`);
      });
      expect(merges.toSorted()).toEqual(expected.toSorted());
    }),
  );
});
