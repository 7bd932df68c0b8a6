/** How the sandbox's objects and fields are written down; describe, generators and queries all read this. */
import type { MakerName } from './makers.ts';

export type FieldType =
  | 'id'
  | 'string'
  | 'email'
  | 'phone'
  | 'url'
  | 'textarea'
  | 'picklist'
  | 'multipicklist'
  | 'reference'
  | 'boolean'
  | 'int'
  | 'double'
  | 'currency'
  | 'percent'
  | 'date'
  | 'datetime'
  | 'address'
  | 'base64';

export interface FieldSpec {
  readonly name: string;
  readonly label: string;
  readonly type: FieldType;
  readonly length: number;
  readonly precision: number;
  readonly scale: number;
  readonly nillable: boolean;
  readonly createable: boolean;
  readonly updateable: boolean;
  readonly calculated: boolean;
  readonly externalId: boolean;
  readonly unique: boolean;
  readonly compoundFieldName: string | null;
  readonly picklist: readonly string[];
  readonly referenceTo: readonly string[];
  readonly relationshipName: string | null;
  /** Names the generator of base values; by type when it is left out. */
  readonly make: MakerName | null;
  /** The name under which values are kept and made, where the field has been renamed. */
  readonly storedAs: string | null;
  /** One row in so many has null; 0 = never. */
  readonly nullEvery: number;
}

export interface ObjectSpec {
  readonly name: string;
  readonly label: string;
  readonly prefix: string;
  readonly fields: readonly FieldSpec[];
  readonly flags: ObjectFlags;
  /** The field that carries the row's stamp, or null for an object without any. */
  readonly stampField: 'SystemModstamp' | 'LastModifiedDate' | 'CreatedDate' | 'LoginTime' | null;
}

export interface ObjectFlags {
  readonly queryable: boolean;
  readonly retrieveable: boolean;
  readonly replicateable: boolean;
  readonly createable: boolean;
  readonly updateable: boolean;
  readonly deletable: boolean;
  readonly undeletable: boolean;
  readonly bulk: boolean;
  /** A query must filter by this field with = or IN, as ContentDocumentLink demands. */
  readonly needsFilter: string | null;
}

type Extra = Partial<Omit<FieldSpec, 'name' | 'type'>>;

export const NUMBER_TYPES: ReadonlySet<FieldType> = new Set(['int', 'double', 'currency', 'percent']);

export function field(name: string, type: FieldType, extra: Extra = {}): FieldSpec {
  return {
    name,
    label: name
      .replace(/__c$/, '')
      .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
      .replaceAll('_', ' '),
    type,
    length: 0,
    precision: 0,
    scale: 0,
    nillable: true,
    createable: true,
    updateable: true,
    calculated: false,
    externalId: false,
    unique: false,
    compoundFieldName: null,
    picklist: [],
    referenceTo: [],
    relationshipName: null,
    make: null,
    storedAs: null,
    nullEvery: 8,
    ...extra,
  };
}

export const text = (name: string, length: number, extra: Extra = {}): FieldSpec =>
  field(name, 'string', { length, ...extra });
export const choice = (name: string, values: readonly string[], extra: Extra = {}): FieldSpec =>
  field(name, 'picklist', { length: 255, picklist: values, ...extra });
export const amount = (
  name: string,
  type: FieldType,
  precision: number,
  scale: number,
  extra: Extra = {},
): FieldSpec => field(name, type, { precision, scale, ...extra });
export const link = (name: string, referenceTo: readonly string[], extra: Extra = {}): FieldSpec =>
  field(name, 'reference', {
    length: 18,
    referenceTo,
    relationshipName: name.endsWith('__c') ? name.replace(/__c$/, '__r') : name.replace(/Id$/, ''),
    ...extra,
  });
export const flag = (name: string, extra: Extra = {}): FieldSpec =>
  field(name, 'boolean', { nillable: false, nullEvery: 0, ...extra });

const FIXED: Extra = { nillable: false, nullEvery: 0, createable: false, updateable: false };

export const ID = field('Id', 'id', { length: 18, ...FIXED, make: 'id', label: 'Record ID' });
export const CREATED_DATE = field('CreatedDate', 'datetime', { ...FIXED, make: 'createdDate' });
export const LAST_MODIFIED_DATE = field('LastModifiedDate', 'datetime', {
  ...FIXED,
  make: 'lastModifiedDate',
});

/** The fields that every ordinary object ends with. */
export function systemFields(mergeable: string | null): FieldSpec[] {
  const fields = [
    link('OwnerId', ['User'], { ...FIXED, createable: true, updateable: true }),
    flag('IsDeleted', { createable: false, updateable: false, make: 'isDeleted', label: 'Deleted' }),
    CREATED_DATE,
    link('CreatedById', ['User'], FIXED),
    LAST_MODIFIED_DATE,
    link('LastModifiedById', ['User'], FIXED),
    field('SystemModstamp', 'datetime', { ...FIXED, make: 'systemModstamp' }),
  ];
  if (mergeable !== null) {
    fields.push(
      link('MasterRecordId', [mergeable], { createable: false, updateable: false, make: 'masterRecordId' }),
    );
  }
  return fields;
}

export function addressFields(prefix: string, nullEvery: number): FieldSpec[] {
  const part = { compoundFieldName: `${prefix}Address`, nullEvery };
  return [
    field(`${prefix}Street`, 'textarea', { length: 255, make: 'street', ...part }),
    text(`${prefix}City`, 40, { make: 'city', ...part }),
    text(`${prefix}State`, 80, { make: 'state', ...part }),
    text(`${prefix}PostalCode`, 20, { make: 'postalCode', ...part }),
    text(`${prefix}Country`, 80, { make: 'country', ...part }),
    amount(`${prefix}Latitude`, 'double', 18, 15, { make: 'latitude', ...part, nullEvery: 3 }),
    amount(`${prefix}Longitude`, 'double', 18, 15, { make: 'longitude', ...part, nullEvery: 3 }),
    field(`${prefix}Address`, 'address', {
      createable: false,
      updateable: false,
      make: 'address',
      nullEvery: 0,
    }),
  ];
}

export const OBJECT_FLAGS: ObjectFlags = {
  queryable: true,
  retrieveable: true,
  replicateable: true,
  createable: true,
  updateable: true,
  deletable: true,
  undeletable: true,
  bulk: true,
  needsFilter: null,
};
