/** Objects that a sync must leave out, or can only read in an unusual way; each stands for a real class of objects. */
import {
  CREATED_DATE,
  ID,
  LAST_MODIFIED_DATE,
  OBJECT_FLAGS,
  choice,
  field,
  flag,
  link,
  systemFields,
  text,
  type FieldSpec,
  type ObjectFlags,
  type ObjectSpec,
} from './fields.ts';

const READ_ONLY = { createable: false, updateable: false, deletable: false, undeletable: false } as const;
const IS_DELETED = flag('IsDeleted', { createable: false, updateable: false, make: 'isDeleted' });

function odd(
  name: string,
  prefix: string,
  stampField: ObjectSpec['stampField'],
  fields: readonly FieldSpec[],
  flags: Partial<ObjectFlags> = {},
): ObjectSpec {
  return {
    name,
    label: name,
    prefix,
    fields: [ID, ...fields],
    flags: { ...OBJECT_FLAGS, ...READ_ONLY, ...flags },
    stampField,
  };
}

/** Each with its number of base rows. */
export const ODD_OBJECTS: readonly { readonly spec: ObjectSpec; readonly rows: number }[] = [
  {
    spec: odd('ContactShare', '03s', 'LastModifiedDate', [
      link('ContactId', ['Contact']),
      choice('ContactAccessLevel', ['Read', 'Edit', 'All']),
      LAST_MODIFIED_DATE,
      IS_DELETED,
    ]),
    rows: 60,
  },
  {
    spec: odd('ContactFeed', '0D5', 'SystemModstamp', [
      link('ParentId', ['Contact']),
      field('Body', 'textarea', { length: 10_000, make: 'prose' }),
      ...systemFields(null),
    ]),
    rows: 40,
  },
  {
    spec: odd('ContactHistory', '017', 'CreatedDate', [
      link('ContactId', ['Contact']),
      text('Field', 255, { make: 'title' }),
      CREATED_DATE,
      IS_DELETED,
    ]),
    rows: 80,
  },
  {
    spec: odd('Ext__x', 'x00', null, [text('ExternalId', 255, { make: 'externalId' })], {
      replicateable: false,
      bulk: false,
    }),
    rows: 10,
  },
  {
    spec: odd('Log__b', 'b00', 'CreatedDate', [text('Event__c', 80, { make: 'title' }), CREATED_DATE], {
      replicateable: false,
      bulk: false,
    }),
    rows: 30,
  },
  { spec: odd('ContactChangeEvent', '0ce', null, [], { queryable: false, replicateable: false }), rows: 0 },
  {
    spec: odd(
      'ContentDocumentLink',
      '06A',
      'SystemModstamp',
      [
        link('LinkedEntityId', ['Contact', 'Account']),
        field('SystemModstamp', 'datetime', { make: 'systemModstamp', nullEvery: 0, nillable: false }),
        IS_DELETED,
      ],
      { needsFilter: 'LinkedEntityId' },
    ),
    rows: 50,
  },
  {
    spec: odd('Attachment', '00P', 'SystemModstamp', [
      text('Name', 255, { make: 'dealName' }),
      link('ParentId', ['Contact']),
      field('Body', 'base64', { make: 'blob', nullEvery: 0 }),
      ...systemFields(null),
    ]),
    rows: 20,
  },
  {
    spec: odd(
      'AsyncApexJob',
      '707',
      'CreatedDate',
      [
        choice('Status', ['Queued', 'Completed', 'Failed']),
        field('NumberOfErrors', 'int', { make: 'count' }),
        CREATED_DATE,
        link('CreatedById', ['User']),
      ],
      { replicateable: false },
    ),
    rows: 120,
  },
  {
    spec: odd(
      'LoginHistory',
      '0Ya',
      'LoginTime',
      [
        link('UserId', ['User']),
        field('LoginTime', 'datetime', { make: 'systemModstamp', nullEvery: 0, nillable: false }),
        text('SourceIp', 39, { make: 'ip' }),
      ],
      { replicateable: false },
    ),
    rows: 200,
  },
  {
    spec: odd(
      'ColorDefinition',
      '0cd',
      null,
      [text('Color', 6, { make: 'leadingZeros' }), text('Theme', 80, { make: 'city' })],
      {
        replicateable: false,
      },
    ),
    rows: 25,
  },
];
