/** How the sandbox's object types and properties are written down; properties, schemas, generators and search all read this. */
import { mix, seedOf } from '../seeded.ts';
import type { Twins } from './twins.ts';

/** What a property holds on the wire: always text, or null when it was never set. */
export type Value = string | null;
export type Maker = (index: number) => Value;

export type PropertyType = 'string' | 'number' | 'date' | 'datetime' | 'enumeration' | 'bool';

export interface MakeContext {
  /** Of this property alone. */
  readonly seed: number;
  /** Of the account, for values that several properties of a row share. */
  readonly accountSeed: number;
  readonly object: string;
  readonly rows: number;
  readonly created: (index: number) => number;
  readonly idOf: (object: string, index: number) => string;
  readonly countOf: (object: string) => number;
  readonly twins: Twins;
}

export type MakerFactory = (context: MakeContext) => Maker;

/** Values that follow from the row's state and not from a generator. */
export type SystemValue = 'id' | 'modified' | 'created' | 'mergedIds' | 'constant';

export interface PropertySpec {
  readonly name: string;
  readonly label: string;
  readonly type: PropertyType;
  readonly fieldType: string;
  readonly groupName: string;
  readonly options: readonly { readonly label: string; readonly value: string }[];
  readonly hubspotDefined: boolean;
  readonly readOnly: boolean;
  readonly calculated: boolean;
  readonly hasUniqueValue: boolean;
  readonly system: SystemValue | null;
  readonly make: MakerFactory;
  /** One row in so many has null; 0 = never. */
  readonly nullEvery: number;
}

export interface TypeSpec {
  /** The plural name in paths: contacts, line_items. */
  readonly name: string;
  readonly singular: string;
  readonly objectTypeId: string;
  readonly labels: { readonly singular: string; readonly plural: string };
  /** Only custom object types have a schema of their own. */
  readonly custom: boolean;
  /** The property that carries the modified date: HubSpot names it differently for contacts. */
  readonly cursor: 'lastmodifieddate' | 'hs_lastmodifieddate';
  readonly createdProperty: 'createdate' | 'hs_createdate';
  readonly primaryDisplay: string;
  /** Sent when a reader names no properties. */
  readonly defaults: readonly string[];
  readonly properties: readonly PropertySpec[];
  /** The properties by which free text finds a record. */
  readonly searchable: readonly string[];
  /** Which property must be unique among the records that are not archived. */
  readonly unique: string | null;
  readonly mergeable: boolean;
  /** Ids of the base rows are idBase + idStep * index. */
  readonly idBase: number;
}

type Extra = Partial<Omit<PropertySpec, 'name' | 'type' | 'make' | 'options'>>;

const FIELD_TYPES: Readonly<Record<PropertyType, string>> = {
  string: 'text',
  number: 'number',
  date: 'date',
  datetime: 'date',
  enumeration: 'select',
  bool: 'booleancheckbox',
};

const BOOL_OPTIONS = [
  { label: 'Yes', value: 'true' },
  { label: 'No', value: 'false' },
];

const labelOf = (name: string): string => {
  const words = name.replace(/^hs_/, '').replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
};

export function property(
  name: string,
  type: PropertyType,
  make: MakerFactory,
  extra: Extra = {},
): PropertySpec {
  return {
    name,
    label: labelOf(name),
    type,
    fieldType: FIELD_TYPES[type],
    groupName: 'information',
    options: type === 'bool' ? BOOL_OPTIONS : [],
    hubspotDefined: true,
    readOnly: false,
    calculated: false,
    hasUniqueValue: false,
    system: null,
    nullEvery: 8,
    ...extra,
    make,
  };
}

export function choice(
  name: string,
  values: readonly string[],
  make: MakerFactory,
  extra: Extra = {},
): PropertySpec {
  return {
    ...property(name, 'enumeration', make, extra),
    options: values.map((value) => ({ label: labelOf(value), value })),
  };
}

const nothing: MakerFactory = () => () => null;
const SYSTEM = { readOnly: true, nullEvery: 0, groupName: 'system' } as const;

export const system = (name: string, type: PropertyType, value: SystemValue): PropertySpec =>
  property(name, type, nothing, { ...SYSTEM, system: value });

/** The base generator of a property: the same for whoever asks, so that one row can quote another. */
export function makerOf(context: MakeContext, object: string, spec: PropertySpec): Maker {
  const seed = seedOf(context.accountSeed, `hubspot.${object}.${spec.name}`);
  const make = spec.make({ ...context, object, seed });
  if (spec.nullEvery <= 0) return make;
  const nullSeed = seedOf(seed, 'null');
  const every = spec.nullEvery;
  return (i) => (mix(nullSeed, i) % every === 0 ? null : make(i));
}
