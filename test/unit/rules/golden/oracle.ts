/**
 * The same answers by the slowest road, written from docs/conflicts.md and decision 10 alone: no early end, no shared code
 * with rules/golden but its types, numbers as floating point (the histories hold none that would suffer).
 */
import type { Override, Retraction, Version } from '../../../../rules/golden/state.ts';
import type { ConflictRules, Criterion, FieldRule } from '../../../../schemas/conflicts.ts';
import type { ClaimValue, RecordRef } from '../../../../schemas/observation.ts';

interface Claim {
  value: ClaimValue;
  changedAt: string;
  id: string;
  kind: string;
  confidence: number;
}
interface Said {
  ref: RecordRef;
  gone: boolean;
  version: string;
  claims: Map<string, Claim>;
}
interface Candidate extends Claim {
  said: Said;
}
export interface OracleField {
  value: ClaimValue;
  ref: RecordRef | null;
  claim: string | null;
  kind: string;
  confidence: number;
  changedAt: string;
  contested: boolean;
  tied: boolean;
}

const json = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
const smaller = (a: string, b: string) => (a < b ? a : b);

/** A record by hand: list everything that was read of a field, oldest first, and look at it from the end. */
export function oracleRecord(
  ref: RecordRef,
  deliveries: readonly Version[],
  retractions: readonly Retraction[],
  skewMs: number,
  undelete: string,
): Said {
  const ids = [...new Set(deliveries.map(({ id }) => id))];
  const versions = ids.map((id) => {
    const same = deliveries.filter((one) => one.id === id);
    const [first] = same;
    if (!first) throw new Error('no version');
    const firstSeen = same.map((one) => one.firstSeen).reduce(smaller);
    const latest =
      same
        .map(({ confirmedAt }) => confirmedAt)
        .toSorted()
        .at(-1) ?? '';
    const limit = new Date(Date.parse(firstSeen) + skewMs).toISOString();
    const at = smaller(first.stamp, limit);
    return { ...first, at, limit, place: JSON.stringify([at, first.version, latest, id]) };
  });
  // The parts of `place` have no quotes or brackets, and of the versions none is the beginning of another.
  const ordered = versions.toSorted((a, b) => (a.place < b.place ? -1 : 1));
  const claims = new Map<string, Claim>();
  for (const field of new Set(ordered.flatMap(({ fields }) => Object.keys(fields)))) {
    const read = ordered.filter((one) => !one.deleted && field in one.fields);
    let runs: (typeof read)[] = [];
    for (const one of read) {
      const last = runs.at(-1)?.at(-1);
      if (last && json(last.fields[field]) === json(one.fields[field])) runs.at(-1)?.push(one);
      else runs = [...runs, [one]];
    }
    const described = runs.map((run, index) => {
      const timed = run.filter((one) => one.times && field in one.times).at(-1);
      const [first] = run;
      const last = run.at(-1);
      if (!first || !last) throw new Error('no run');
      const own = timed ? smaller(timed.times?.[field] ?? '', timed.limit) : first.at;
      const sure = last.inferred?.[field];
      return {
        claim: {
          value: first.fields[field] ?? null,
          changedAt: own,
          id: first.id,
          kind: sure === undefined ? 'explicit' : 'inferred',
          confidence: sure ?? 1,
        },
        start: run
          .flatMap((one) =>
            one.times && field in one.times ? [smaller(one.times[field] ?? '', one.limit)] : [],
          )
          .reduce(smaller, first.at),
        first: first.at,
        end: runs[index + 1]?.[0]?.at ?? '9999',
      };
    });
    const ours = retractions.filter((taken) => taken.field === field);
    const named = (taken: Retraction) =>
      described.map(
        ({ claim, start, end }) =>
          json(claim.value) === taken.value && start <= taken.runStart && taken.runStart <= end,
      );
    const pinnedFrom = ours.map((taken) => {
      const own = named(taken).lastIndexOf(true);
      const later = described.findIndex(({ first }) => first >= taken.runStart);
      return !taken.hold ? 1e9 : own >= 0 ? own : later >= 0 ? later : 1e9;
    });
    const counting = described.filter(
      (_, index) => index < Math.min(1e9, ...pinnedFrom) && !ours.some((taken) => named(taken)[index]),
    );
    const newest = counting.at(-1);
    if (newest) claims.set(field, newest.claim);
  }
  const gone =
    undelete === 'never' ? ordered.some(({ deleted }) => deleted) : ordered.at(-1)?.deleted !== false;
  return { ref, gone, version: ordered.at(-1)?.version ?? '', claims };
}

const blank = (value: ClaimValue): boolean =>
  value === null ||
  value === '' ||
  (typeof value === 'object' && !Array.isArray(value) && Object.values(value).every((part) => blank(part)));
const quantity = (value: ClaimValue) =>
  typeof value === 'number' || (typeof value === 'string' && /^-?(0|[1-9]\d*)(\.\d+)?$/.test(value))
    ? Number(value)
    : undefined;
const moment = (value: ClaimValue) =>
  typeof value === 'string' && /^\d{4}-\d\d-\d\d(T.*Z)?$/.test(value) ? Date.parse(value) : undefined;
const key = (value: ClaimValue): string => {
  const [number, time] = [quantity(value), moment(value)];
  return number !== undefined ? `number ${number}` : time !== undefined ? `time ${time}` : json(value);
};
const kindOf = (value: ClaimValue): number => {
  if (value === null || value === '') return 0;
  if (typeof value === 'boolean') return 1;
  if (quantity(value) !== undefined) return 2;
  if (moment(value) !== undefined) return 3;
  if (typeof value === 'string') return 4;
  return Array.isArray(value) ? 5 : 6;
};
/** As many numbers and texts as it takes; compared one after the other. */
const size = (value: ClaimValue): (number | string)[] => [
  kindOf(value),
  quantity(value) ?? moment(value) ?? (Array.isArray(value) ? value.length : 0),
  typeof value === 'string' && quantity(value) === undefined && moment(value) === undefined ? value : '',
  typeof value === 'object' || typeof value === 'boolean' ? json(value) : '',
];
function compare(a: (number | string)[], b: (number | string)[]): number {
  for (const [index, part] of a.entries()) {
    const other = b[index] ?? '';
    if (part !== other) return part < other ? -1 : 1;
  }
  return 0;
}
function length(value: ClaimValue): number {
  if (value === null) return 0;
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object')
    return Object.values(value)
      .map(length)
      .reduce((a, b) => a + b, 0);
  return String(value).length;
}

/** How good a candidate is by one criterion; the greater the better. */
function score(criterion: Criterion, one: Candidate, among: readonly Candidate[]): (number | string)[] {
  const { value, changedAt, kind, confidence, said } = one;
  switch (criterion.by) {
    case 'latest':
      return [changedAt];
    case 'earliest':
      return [-Date.parse(changedAt)];
    case 'source':
      return [criterion.order.includes(said.ref.source) ? 100 - criterion.order.indexOf(said.ref.source) : 0];
    case 'kind':
      return [kind === 'explicit' ? 1 : 0];
    case 'nonBlank':
      return [blank(value) ? 0 : 1];
    case 'longest':
      return [length(value)];
    case 'confidence':
      return [confidence];
    case 'frequency':
      return [among.filter((other) => key(other.value) === key(value)).length];
    default:
      return [];
  }
}

function survivors(criterion: Criterion, among: readonly Candidate[]): Candidate[] {
  const better = (a: Candidate, b: Candidate): boolean => {
    if (criterion.by === 'max' || criterion.by === 'min') {
      if (blank(a.value) || blank(b.value)) return !blank(a.value) && blank(b.value);
      const order = compare(size(a.value), size(b.value));
      return criterion.by === 'max' ? order > 0 : order < 0;
    }
    return compare(score(criterion, a, among), score(criterion, b, among)) > 0;
  };
  return among.filter((one) => !among.some((other) => better(other, one)));
}

const last = (one: Candidate) => [
  one.changedAt,
  one.said.version,
  one.id,
  one.said.ref.source,
  one.said.ref.object,
  one.said.ref.record,
];

function counting(all: readonly Candidate[], rule: FieldRule, asOf: string): Candidate[] {
  const groups = (rule.where ?? [{}]).map((filter) =>
    all.filter(
      ({ said, kind, changedAt }) =>
        (!filter.sources || filter.sources.includes(said.ref.source)) &&
        (!filter.kinds || filter.kinds.some((wanted) => wanted === kind)) &&
        (!filter.maxAgeMs || Date.parse(asOf) - Date.parse(changedAt) <= filter.maxAgeMs),
    ),
  );
  if (rule.blank === 'clears') return groups.find((group) => group.length > 0) ?? [];
  const filled = groups.map((group) => group.filter(({ value }) => !blank(value)));
  return filled.find((group) => group.length > 0) ?? groups.find((group) => group.length > 0) ?? [];
}

function combineAll(rule: Extract<FieldRule, { combine: string }>, all: readonly Candidate[]): ClaimValue {
  const sorted = all.toSorted((a, b) => -compare(last(a), last(b)));
  const values = sorted.map(({ value }) => value).filter((value) => !blank(value));
  if (values.length === 0) return null;
  const booleans = values.filter((value) => typeof value === 'boolean');
  const unknown = values.length < sorted.length || booleans.length === 0;
  switch (rule.combine) {
    case 'union': {
      const entries = [
        ...new Set(values.flatMap((value) => (Array.isArray(value) ? value : [value])).map(json)),
      ];
      return entries
        .slice(0, rule.limit ?? 1e9)
        .toSorted()
        .map((entry) => JSON.parse(entry) as ClaimValue);
    }
    case 'sum': {
      const numbers = values.filter((value) => quantity(value) !== undefined);
      const total = numbers.reduce<number>((sum, value) => sum + (quantity(value) ?? 0), 0);
      const digits = Math.max(
        0,
        ...numbers.map((value) => json(value).replaceAll('"', '').split('.')[1]?.length ?? 0),
      );
      if (numbers.length === 0) return null;
      return numbers.some((value) => typeof value === 'string') ? total.toFixed(digits) : total;
    }
    case 'any':
      return booleans.includes(true) ? true : unknown ? null : false;
    case 'all':
      return booleans.includes(false) ? false : unknown ? null : true;
    case 'max':
      return values.reduce((best, next) => (compare(size(next), size(best)) > 0 ? next : best));
    case 'min':
      return values.reduce((best, next) => (compare(size(next), size(best)) < 0 ? next : best));
    default:
      return null;
  }
}

function candidates(records: readonly Said[], members: readonly string[]): Candidate[] {
  return records.flatMap((said) => {
    const claims = members.flatMap((field) => {
      const claim = said.claims.get(field);
      return claim ? [{ field, ...claim }] : [];
    });
    const newest = claims.toSorted((a, b) => compare([a.changedAt, a.id], [b.changedAt, b.id])).at(-1);
    if (!newest) return [];
    const unit = Object.fromEntries(claims.map(({ field, value }) => [field, value]));
    const one = {
      said,
      value: members.length === 1 ? newest.value : unit,
      changedAt: newest.changedAt,
      id: newest.id,
      kind: claims.every(({ kind }) => kind === 'explicit') ? 'explicit' : 'inferred',
      confidence: Math.min(...claims.map(({ confidence }) => confidence)),
    };
    return [one];
  });
}

export function oracleProfile(
  records: readonly Said[],
  overrides: readonly Override[],
  rules: ConflictRules,
  asOf: string,
): { deleted: boolean; fields: Record<string, OracleField> } {
  const living = records.filter(({ gone }) => !gone);
  const deleted = rules.deletes.golden === 'any' ? records.some(({ gone }) => gone) : living.length === 0;
  const said = overrides.map(({ field }) => field);
  const fields: Record<string, OracleField> = {};
  for (const field of [...living.flatMap(({ claims }) => [...claims.keys()]), ...said].toSorted()) {
    const golden = oracleField(field, living, overrides, rules, asOf);
    if (golden) fields[field] = golden;
  }
  return { deleted, fields };
}

function oracleField(
  field: string,
  living: readonly Said[],
  overrides: readonly Override[],
  rules: ConflictRules,
  asOf: string,
): OracleField | undefined {
  const own = candidates(living, [field]);
  const others = (value: ClaimValue, source: string | null) =>
    own.some((one) => one.said.ref.source !== source && !blank(one.value) && key(one.value) !== key(value));
  const override = overrides
    .filter((one) => one.field === field)
    .toSorted((a, b) => compare([a.seq, a.at, a.id], [b.seq, b.at, b.id]))
    .at(-1);
  if (override) {
    const { value, id, at } = override;
    const contested = others(value, null);
    return {
      value,
      ref: null,
      claim: id,
      kind: 'explicit',
      confidence: 1,
      changedAt: at,
      contested,
      tied: false,
    };
  }
  const [group, members] = Object.entries(rules.groups).find(([, fields]) => fields.includes(field)) ?? [
    field,
    [field],
  ];
  const rule = rules.fields[group] ?? rules.defaults;
  const left = counting(candidates(living, members), rule, asOf);
  if (left.length === 0) return undefined;
  if ('combine' in rule) {
    const value = combineAll(rule, left);
    const picks = rule.combine !== 'union' && rule.combine !== 'sum';
    return {
      value,
      ref: null,
      claim: null,
      kind: left.every(({ kind }) => kind === 'explicit') ? 'explicit' : 'inferred',
      confidence: Math.min(...left.map(({ confidence }) => confidence)),
      changedAt:
        left
          .map(({ changedAt }) => changedAt)
          .toSorted()
          .at(-1) ?? '',
      contested: picks && others(value, null),
      tied: false,
    };
  }
  const best = rule.prefer.reduce<Candidate[]>((still, criterion) => survivors(criterion, still), left);
  const winner = best.toSorted((a, b) => compare(last(a), last(b))).at(-1);
  const claim = winner?.said.claims.get(field);
  if (!winner || !claim) return undefined;
  const { id, ...rest } = claim;
  const tied = best.some((one) => key(one.value) !== key(winner.value));
  return {
    ...rest,
    ref: winner.said.ref,
    claim: id,
    contested: others(claim.value, winner.said.ref.source),
    tied,
  };
}
