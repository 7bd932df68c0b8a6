/** Generators: the base value of a field is a pure function of (seed, object, field, row index). Values are text or null. */
import type { FieldSpec, FieldType } from './fields.ts';
import { dayText, decimalText, instantText, mix, pick, seedOf } from '../seeded.ts';
import { idMaker } from './ids.ts';
import * as words from '../words.ts';

/** What a cell holds, as Salesforce would write it in a CSV; types only decide how REST renders it. */
export type Value = string | null;
export type Maker = (index: number) => Value;

export interface MakerContext {
  readonly seed: number;
  readonly object: string;
  readonly prefix: string;
  readonly stamp: (index: number) => number;
  readonly prefixOf: (object: string) => string | undefined;
  readonly countOf: (object: string) => number;
}

const DAY_MS = 86_400_000;

export type MakerName = keyof typeof MAKERS | DerivedName;
export type DerivedName =
  | 'personName'
  | 'greeting'
  | 'expectedRevenue'
  | 'address'
  | 'isDeleted'
  | 'masterRecordId';

type MakerFactory = (seed: number, context: MakerContext, spec: FieldSpec) => Maker;

function company(h: number): string {
  return `${pick(words.COMPANY_WORDS, h)} ${pick(words.COMPANY_WORDS, h >>> 8)} ${pick(words.COMPANY_ENDS, h >>> 16)}`;
}

const firstNameSeed = (context: MakerContext): number => seedOf(context.seed, `${context.object}.FirstName`);
const lastNameSeed = (context: MakerContext): number => seedOf(context.seed, `${context.object}.LastName`);
const citySeed = (context: MakerContext): number => seedOf(context.seed, `${context.object}.city`);
const asciiOnly = (name: string): string =>
  name
    .normalize('NFD')
    .replaceAll(/[^A-Za-z]/g, '')
    .toLowerCase();
const FIRST_MAIL = words.FIRST_NAMES.map(asciiOnly);
const LAST_MAIL = words.LAST_NAMES.map(asciiOnly);

export const MAKERS = {
  id: (_seed, context) => idMaker(context.prefix),
  systemModstamp: (_seed, context) => (i) => instantText(context.stamp(i)),
  // One row in sixteen was last touched by the system a little after its user's edit.
  lastModifiedDate: (seed, context) => (i) =>
    instantText(context.stamp(i) - ((mix(seed, i) & 15) === 0 ? 1000 * (mix(seed, i) % 3000) : 0)),
  createdDate: (seed, context) => (i) =>
    instantText(context.stamp(i) - 3_600_000 - 1000 * (mix(seed, i) % 34_000_000)),
  firstName: (_seed, context) => {
    const seed = firstNameSeed(context);
    return (i) => pick(words.FIRST_NAMES, mix(seed, i));
  },
  lastName: (_seed, context) => {
    const seed = lastNameSeed(context);
    return (i) => pick(words.LAST_NAMES, mix(seed, i));
  },
  email: (_seed, context) => {
    const first = firstNameSeed(context);
    const last = lastNameSeed(context);
    return (i) => `${pick(FIRST_MAIL, mix(first, i))}.${pick(LAST_MAIL, mix(last, i))}${i}@example.com`;
  },
  username: () => (i) => `user${i}@sandbox.example`,
  companyName: (seed) => (i) => company(mix(seed, i)),
  dealName: (seed) => (i) => `${company(mix(seed, i))} - ${2020 + (i % 7)}`,
  title: (seed) => (i) => pick(words.TITLES, mix(seed, i)),
  awkward: (seed) => (i) => {
    const h = mix(seed, i);
    return (h & 7) === 0 ? pick(words.AWKWARD, h >>> 4) : pick(words.DEPARTMENTS, h >>> 4);
  },
  prose: (seed) => (i) => {
    const h = mix(seed, i);
    if ((h & 63) === 0) return pick(words.AWKWARD, h >>> 8);
    return `${pick(words.SENTENCES, h >>> 8)} ${pick(words.SENTENCES, h >>> 16)}`;
  },
  phone: (seed) => (i) => {
    const h = mix(seed, i);
    if ((h & 3) === 0) return `(${200 + (h % 700)}) 555-${String(1000 + ((h >>> 8) % 9000))}`;
    return (h & 3) === 1 ? `0049 30 ${100_000 + (h % 899_999)}` : `+1 555 ${1_000_000 + (h % 8_999_999)}`;
  },
  website: (seed) => (i) =>
    `https://www.${pick(words.COMPANY_WORDS, mix(seed, i)).toLowerCase()}${i}.example`,
  street: (seed) => (i) => {
    const h = mix(seed, i);
    return `${1 + (h % 250)} ${pick(words.STREETS, h >>> 9)}${(h & 31) === 0 ? '\nApt "B", 2nd floor' : ''}`;
  },
  city: (_seed, context) => cityPart(context, 0),
  state: (_seed, context) => cityPart(context, 1),
  country: (_seed, context) => cityPart(context, 2),
  postalCode: (_seed, context) => cityPart(context, 3),
  latitude: (seed) => (i) => String((mix(seed, i) % 180_000_000) / 1e6 - 90),
  longitude: (seed) => (i) => String((mix(seed, i) % 360_000_000) / 1e6 - 180),
  birthdate: (seed) => (i) => dayText(-15 * 365 * DAY_MS + (mix(seed, i) % 18_000) * DAY_MS),
  externalId: (_seed, context) => (i) => `${context.prefix}-${String(i).padStart(9, '0')}`,
  leadingZeros: () => (i) => String(i + 42).padStart(8, '0'),
  count: (seed) => (i) => String(mix(seed, i) % 25_000),
  ip: (seed) => (i) => `203.0.113.${mix(seed, i) % 256}`,
  blob: () => (i) => `sandbox blob ${i}`,
  text: (seed) => (i) => `text ${mix(seed, i) % 100_000}`,
  picklist: (seed, _context, spec) => (i) => pick(spec.picklist, mix(seed, i)),
  multipicklist: (seed, _context, spec) => (i) => {
    const h = mix(seed, i);
    return spec.picklist
      .filter((_, n) => n === h % spec.picklist.length || ((h >>> (8 + n)) & 3) === 0)
      .join(';');
  },
  boolean: (seed) => (i) => (mix(seed, i) % 5 === 0 ? 'true' : 'false'),
  integer: (seed) => (i) => String(mix(seed, i) % 100_000),
  decimal: (seed, _context, spec) => (i) => decimalAt(seed, spec, i),
  day: (seed) => (i) => dayText(Date.UTC(2024, 0, 1) + (mix(seed, i) % 1200) * DAY_MS),
  instant: (seed) => (i) => instantText(Date.UTC(2024, 0, 1) + mix(seed, i) * 20),
  reference: (seed, context, spec) => {
    const targets = spec.referenceTo.flatMap((name) => {
      const prefix = context.prefixOf(name);
      return prefix === undefined ? [] : [{ make: idMaker(prefix), rows: context.countOf(name) }];
    });
    return (i) => {
      const h = mix(seed, i);
      const target = targets.length === 0 ? undefined : targets[h % targets.length];
      return target === undefined || target.rows === 0 ? null : target.make((h >>> 3) % target.rows);
    };
  },
  // An added field without a default is null everywhere until someone writes it.
  nothing: () => () => null,
} satisfies Record<string, MakerFactory>;

function cityPart(context: MakerContext, part: 0 | 1 | 2 | 3): Maker {
  const seed = citySeed(context);
  return (i) => pick(words.CITIES, mix(seed, i))[part];
}

/** Doubles show a decimal even at scale 0. One row in 4,096 has as many digits as the type allows: more than a double can hold. */
function decimalAt(seed: number, spec: FieldSpec, i: number): string {
  const h = mix(seed, i);
  if ((h & 4095) === 7 && spec.precision >= 18) {
    const whole = '9'.repeat(spec.precision - spec.scale - 8) + String(h % 100_000_000).padStart(8, '0');
    return spec.scale === 0 ? `${whole}.0` : `${whole}.${'98'.padEnd(spec.scale, '7').slice(0, spec.scale)}`;
  }
  const limit = Math.min(10 ** spec.precision, 1e9);
  const text = spec.scale === 0 ? `${h % limit}.0` : decimalText(h % limit, spec.scale);
  return (h & 15) === 1 ? `-${text}` : text;
}

const BY_TYPE: Record<FieldType, keyof typeof MAKERS> = {
  id: 'id',
  string: 'text',
  email: 'email',
  phone: 'phone',
  url: 'website',
  textarea: 'prose',
  picklist: 'picklist',
  multipicklist: 'multipicklist',
  reference: 'reference',
  boolean: 'boolean',
  int: 'integer',
  double: 'decimal',
  currency: 'decimal',
  percent: 'decimal',
  date: 'day',
  datetime: 'instant',
  address: 'nothing',
  base64: 'blob',
};

const isMaker = (name: string): name is keyof typeof MAKERS => name in MAKERS;

/** The generator that a field has, named, so that it can outlast a change of the field's type. */
export function makerNameOf(spec: FieldSpec): MakerName {
  return spec.make ?? BY_TYPE[spec.type];
}

/** The base generator of a field. Fields that are derived from other fields of their row have none: see readers. */
export function makerOf(context: MakerContext, spec: FieldSpec): Maker {
  const name = spec.make !== null && isMaker(spec.make) ? spec.make : BY_TYPE[spec.type];
  const seed = seedOf(context.seed, `${context.object}.${spec.storedAs ?? spec.name}`);
  const factory: MakerFactory = MAKERS[name];
  const make = factory(seed, context, spec);
  if (spec.nullEvery <= 0) return make;
  const nullSeed = seedOf(seed, 'null');
  const every = spec.nullEvery;
  return (i) => (mix(nullSeed, i) % every === 0 ? null : make(i));
}
