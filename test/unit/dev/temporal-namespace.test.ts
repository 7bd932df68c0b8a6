import { afterEach, expect, jest, test } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { ensureSearchAttributes, reasonOf } from '../../../cli/dev/temporal-namespace.ts';

// Never connected: each call that the tests expect is answered by a stand-in.
const connection = Connection.lazy({ address: '127.0.0.1:1' });
const KEYWORD = 2;

afterEach(() => {
  jest.restoreAllMocks();
});

/** A response message by its fields; the classes themselves are not exported to us. */
const reply = (fields: object) => Promise.resolve(Object.assign(Object.create(null), fields));

function answer(existing: Record<string, number>) {
  const { operatorService, workflowService } = connection;
  return {
    list: jest
      .spyOn(operatorService, 'listSearchAttributes')
      .mockImplementation(() => reply({ customAttributes: existing })),
    add: jest.spyOn(operatorService, 'addSearchAttributes').mockImplementation(() => reply({})),
    count: jest.spyOn(workflowService, 'countWorkflowExecutions').mockImplementation(() => reply({})),
    keys: jest
      .spyOn(workflowService, 'getSearchAttributes')
      .mockImplementation(() => reply({ keys: existing })),
  };
}

test('only the missing ones are registered, and it waits until queries accept them', async () => {
  const { add, count } = answer({ Phase: KEYWORD });
  count
    .mockRejectedValueOnce(new Error('no mapping defined'))
    .mockRejectedValueOnce(new Error('no mapping defined'));
  const wanted = { Phase: 'Keyword', Trigger: 'Keyword', RowsLoaded: 'Int' };
  expect(await ensureSearchAttributes(connection, 'crm', wanted)).toEqual(['Trigger', 'RowsLoaded']);
  expect(add.mock.calls).toEqual([[{ namespace: 'crm', searchAttributes: { Trigger: 2, RowsLoaded: 3 } }]]);
  expect(count).toHaveBeenCalledTimes(3);
  expect(count.mock.lastCall).toEqual([
    { namespace: 'crm', query: '`Trigger` IS NULL AND `RowsLoaded` IS NULL' },
  ]);
});

test('nothing missing, nothing asked', async () => {
  const { add, count } = answer({ Phase: KEYWORD });
  expect(await ensureSearchAttributes(connection, 'crm', { Phase: 'Keyword' })).toEqual([]);
  expect(add).not.toHaveBeenCalled();
  expect(count).not.toHaveBeenCalled();
});

test('an attribute of another type is an error with the remedy', async () => {
  const { add } = answer({ Phase: 1 });
  await expect(ensureSearchAttributes(connection, 'crm', { Phase: 'Keyword' })).rejects.toThrow(
    'The search attribute Phase of namespace crm is not of type Keyword. Remove it there, or set TEMPORAL_NAMESPACE',
  );
  expect(add).not.toHaveBeenCalled();
});

test('a service without the operator API is asked the other way, and what it lacks is listed', async () => {
  const { list, add } = answer({ Phase: KEYWORD });
  const refused = Object.assign(new Error('7 PERMISSION_DENIED: not allowed'), { details: 'not allowed' });
  list.mockRejectedValue(refused);
  add.mockRejectedValue(refused);
  expect(await ensureSearchAttributes(connection, 'crm', { Phase: 'Keyword' })).toEqual([]);
  await expect(
    ensureSearchAttributes(connection, 'crm', { Phase: 'Keyword', RowsLoaded: 'Int' }),
  ).rejects.toThrow(
    'the service does not let Headwater register them (not allowed). Have them registered by who administers it: RowsLoaded=Int',
  );
});

test('a reason is one line without status and stack', () => {
  expect(reasonOf(Object.assign(new Error('14 UNAVAILABLE: x'), { details: 'x' }))).toBe('x');
  expect(reasonOf(new Error('first\nsecond'))).toBe('first');
  expect(reasonOf('text')).toBe('text');
});
