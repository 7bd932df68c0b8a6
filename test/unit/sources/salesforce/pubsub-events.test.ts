import avro from 'avsc';
import { describe, expect, test } from '@jest/globals';
import { array, assert, constantFrom, integer, property, string, tuple, uint8Array } from 'fast-check';
import { headerReader, hintsOf, type ChangeHeader } from '../../../../sources/salesforce/pubsub-events.ts';

const texts = { type: 'array', items: 'string' };
/** As the guide shows it, with fields that are not ours before, between and behind those that are. */
const SCHEMA = {
  type: 'record',
  name: 'ContactChangeEvent',
  namespace: 'com.sforce.eventbus',
  fields: [
    { name: 'Before', type: ['null', 'string'], default: null },
    {
      name: 'ChangeEventHeader',
      type: {
        type: 'record',
        name: 'ChangeEventHeader',
        fields: [
          { name: 'entityName', type: 'string' },
          { name: 'recordIds', type: texts },
          {
            name: 'changeType',
            type: { type: 'enum', name: 'ChangeType', symbols: ['CREATE', 'UPDATE', 'DELETE', 'GAP_UPDATE'] },
          },
          { name: 'changeOrigin', type: 'string' },
          { name: 'transactionKey', type: 'string' },
          { name: 'sequenceNumber', type: 'int' },
          { name: 'commitTimestamp', type: 'long' },
          { name: 'commitNumber', type: 'long' },
          { name: 'commitUser', type: 'string' },
          { name: 'changedFields', type: texts },
        ],
      },
    },
    {
      name: 'Name',
      type: [
        'null',
        { type: 'record', name: 'PersonName', fields: [{ name: 'LastName', type: ['null', 'string'] }] },
      ],
    },
    { name: 'Amount', type: ['null', 'double'], default: null },
  ],
};
const schemaJson = JSON.stringify(SCHEMA);
const writer = avro.Type.forSchema(JSON.parse(schemaJson));

const RECORD = '003Hw0000000001IAA';
const header = (more: Partial<ChangeHeader> = {}): ChangeHeader => ({
  ...{ entityName: 'Contact', recordIds: [RECORD], changeType: 'UPDATE', changeOrigin: '' },
  ...{ transactionKey: 't-1', sequenceNumber: 1, commitTimestamp: 1_700_000_000_123 },
  ...more,
});
const payloadOf = (told: ChangeHeader, lastName = 'Secret'): Buffer =>
  writer.toBuffer({
    Before: 'x',
    ChangeEventHeader: { ...told, commitNumber: 7, commitUser: 'u', changedFields: ['0x2'] },
    Name: { LastName: lastName },
    Amount: 1.5,
  });
const ALL = { objects: 'all' as const, exclude: [], own: {} };

describe('the header of a change event', () => {
  test('is read whatever stands around it', () => {
    const read = headerReader(schemaJson);
    const told = tuple(
      string(),
      array(string(), { maxLength: 5 }),
      constantFrom('CREATE', 'DELETE'),
      integer({ min: 0, max: 4e12 }),
      string(),
    );
    assert(
      property(told, ([entityName, recordIds, changeType, commitTimestamp, name]) => {
        const one = header({
          entityName: `C${entityName}`.slice(0, 200),
          recordIds,
          changeType,
          commitTimestamp,
        });
        expect(read(payloadOf(one, name))).toEqual(one);
      }),
    );
  });

  test('I5: bytes that are no event are refused, and nothing of them is told', () => {
    const read = headerReader(schemaJson);
    assert(
      property(uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          expect(Object.keys(read(bytes))).toContain('entityName');
        } catch (error) {
          expect(error).toMatchObject({
            code: 'SOURCE_PROTOCOL',
            message: 'an event of ContactChangeEvent cannot be read',
          });
        }
      }),
    );
    expect(() => read(payloadOf(header()).subarray(0, 30))).toThrow('cannot be read');
  });

  test.each(['', '{', '[]', '"string"', '/etc/hostname', '{"type":"record","name":"x","fields":[]}'])(
    'what is no schema of a change event is refused: %s',
    (text) => expect(() => headerReader(text)).toThrow('a schema is not that of a change event'),
  );
});

describe('what an event says', () => {
  const told = (
    more: Partial<ChangeHeader>,
    pushed = { ...ALL, objects: ['Contact'], exclude: [] as string[] },
  ) => hintsOf(header(more), 'e-1', pushed);
  const OTHER = '003Hw0000000002IAA';

  test.each([
    ['CREATE', 'changed'],
    ['UPDATE', 'changed'],
    ['UNDELETE', 'changed'],
    ['DELETE', 'deleted'],
    ['GAP_CREATE', 'changed'],
    ['GAP_UPDATE', 'changed'],
    ['GAP_UNDELETE', 'changed'],
    ['GAP_DELETE', 'deleted'],
    ['SNAPSHOT', 'changed'],
  ])('%s: each record is %s', (changeType, kind) => {
    const { events, unnamed, leftOut } = told({ changeType, recordIds: [RECORD, OTHER, RECORD] });
    expect(events.map(({ record, kind: is }) => [record, is])).toEqual([
      [RECORD, kind],
      [OTHER, kind],
    ]);
    expect(events[0]).toMatchObject({ object: 'Contact', values: null, at: '2023-11-14T22:13:20.123Z' });
    expect([unnamed, leftOut]).toEqual([[], 0]);
  });

  test.each([
    ['an overflow', { changeType: 'GAP_OVERFLOW', recordIds: ['000000000000000AAA'] }, 0],
    ['an overflow that names a record', { changeType: 'GAP_OVERFLOW' }, 0],
    ['a wildcard', { recordIds: ['003*'] }, 0],
    ['no record', { recordIds: [] }, 0],
    ['a record of 15 characters beside another', { recordIds: [RECORD, '003Hw0000000001'] }, 1],
  ])('%s: its object has changed somewhere', (_, more, named) => {
    const { events, unnamed } = told(more);
    expect([events.length, unnamed]).toEqual([named, ['Contact']]);
  });

  test('objects that are not synced are left out, overflows too', () => {
    const nothing = { events: [], unnamed: [], leftOut: 1, own: false };
    expect(told({ entityName: 'Lead' })).toEqual(nothing);
    expect(told({ entityName: 'Lead', changeType: 'GAP_OVERFLOW' })).toEqual(nothing);
    expect(told({}, { ...ALL, objects: ['Contact'], exclude: ['Contact'] })).toEqual(nothing);
  });

  test('I2: told again, or on another topic, it is the same event; another change, record or moment is not', () => {
    const idOf = (more: Partial<ChangeHeader>, event = 'e-1') =>
      hintsOf(header(more), event, ALL).events[0]?.id;
    expect(idOf({}, 'e-2')).toBe(idOf({}));
    const others = [
      ...[{ transactionKey: 't-2' }, { sequenceNumber: 2 }, { changeType: 'DELETE' }],
      ...[{ recordIds: [OTHER] }, { entityName: 'Lead' }],
    ];
    expect(new Set([{}, ...others].map((more) => idOf(more))).size).toBe(others.length + 1);
    // Without a transaction the event itself is the fact.
    expect(idOf({ transactionKey: '' }, 'e-2')).not.toBe(idOf({ transactionKey: '' }, 'e-1'));
  });

  test('our own change is marked, and its records are read like any other', () => {
    const { own, events } = told({ changeOrigin: 'com/salesforce/api/rest/66.0;client=Headwater' });
    expect([own, events.length]).toEqual([true, 1]);
    expect(told({ changeOrigin: 'com/salesforce/api/soap/66.0;client=Astro' }).own).toBe(false);
  });
});
