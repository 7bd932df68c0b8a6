/** Describes, global and per object, in Salesforce's shape. */
import { NUMBER_TYPES, type FieldSpec, type FieldType, type ObjectSpec } from './fields.ts';
import type { Table } from './table.ts';

const SOAP_TYPES: Partial<Record<FieldType, string>> = {
  id: 'tns:ID',
  reference: 'tns:ID',
  boolean: 'xsd:boolean',
  int: 'xsd:int',
  double: 'xsd:double',
  currency: 'xsd:double',
  percent: 'xsd:double',
  date: 'xsd:date',
  datetime: 'xsd:dateTime',
  address: 'urn:address',
  base64: 'xsd:base64Binary',
};

function summary(spec: ObjectSpec, version: string): Record<string, unknown> {
  const { flags, name } = spec;
  const path = `/services/data/${version}/sobjects/${name}`;
  return {
    name,
    label: spec.label,
    labelPlural: `${spec.label}s`,
    keyPrefix: spec.prefix,
    custom: name.endsWith('__c'),
    customSetting: false,
    deprecatedAndHidden: false,
    activateable: false,
    createable: flags.createable,
    updateable: flags.updateable,
    deletable: flags.deletable,
    undeletable: flags.undeletable,
    mergeable: spec.fields.some((f) => f.name === 'MasterRecordId'),
    queryable: flags.queryable,
    retrieveable: flags.retrieveable,
    replicateable: flags.replicateable,
    searchable: flags.createable,
    layoutable: flags.createable,
    triggerable: flags.createable,
    feedEnabled: false,
    mruEnabled: false,
    hasSubtypes: false,
    isSubtype: false,
    isInterface: false,
    urls: { sobject: path, describe: `${path}/describe`, rowTemplate: `${path}/{ID}` },
  };
}

export function describeGlobal(tables: Iterable<Table>, version: string): Record<string, unknown> {
  return {
    encoding: 'UTF-8',
    maxBatchSize: 200,
    sobjects: [...tables].map((table) => summary(table.spec, version)),
  };
}

export function describeObject(table: Table, version: string): Record<string, unknown> {
  return {
    ...summary(table.spec, version),
    actionOverrides: [],
    childRelationships: [],
    recordTypeInfos: [],
    supportedScopes: [{ label: 'All', name: 'everything' }],
    fields: table.fields().map((spec) => describeField(spec)),
  };
}

function describeField(spec: FieldSpec): Record<string, unknown> {
  const { type } = spec;
  const isText =
    !NUMBER_TYPES.has(type) && !['boolean', 'date', 'datetime', 'address', 'base64'].includes(type);
  const filterable = !(type === 'address' || type === 'base64' || (type === 'textarea' && spec.length > 255));
  return {
    name: spec.name,
    label: spec.label,
    type,
    soapType: SOAP_TYPES[type] ?? 'xsd:string',
    length: spec.length,
    byteLength: isText ? spec.length * 3 : 0,
    precision: type === 'int' ? 0 : spec.precision,
    digits: type === 'int' ? 8 : 0,
    scale: spec.scale,
    nillable: spec.nillable,
    calculated: spec.calculated,
    calculatedFormula: null,
    createable: spec.createable,
    updateable: spec.updateable,
    permissionable: spec.nillable,
    custom: spec.name.endsWith('__c'),
    externalId: spec.externalId,
    unique: spec.unique,
    caseSensitive: false,
    idLookup: spec.type === 'id' || spec.externalId,
    nameField: spec.name === 'Name',
    namePointing: spec.referenceTo.length > 1,
    compoundFieldName: spec.compoundFieldName,
    defaultedOnCreate: type === 'boolean' || !spec.createable,
    defaultValue: type === 'boolean' ? false : null,
    deprecatedAndHidden: false,
    filterable,
    sortable: filterable,
    groupable: filterable && type !== 'datetime',
    aggregatable: filterable && type !== 'boolean',
    htmlFormatted: false,
    encrypted: false,
    picklistValues: spec.picklist.map((value) => ({
      active: true,
      defaultValue: false,
      label: value,
      validFor: null,
      value,
    })),
    restrictedPicklist: false,
    referenceTo: spec.referenceTo,
    relationshipName: spec.relationshipName,
    polymorphicForeignKey: spec.referenceTo.length > 1,
    inlineHelpText: null,
  };
}
