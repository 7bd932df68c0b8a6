import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readLog, type LogFilter } from '../../../cli/commands/logs.ts';

let folder: string;
const line = (message: string, fields: object = {}) =>
  `${JSON.stringify({ time: 't', level: 'info', message, ...fields })}\n`;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'logs-'));
  writeFileSync(join(folder, 'worker.ndjson.1'), line('oldest', { connection: 'a' }));
  writeFileSync(
    join(folder, 'worker.ndjson'),
    line('debugging', { level: 'debug' }) +
      line('contact', { connection: 'a', object: 'Contact', run: 'sync/a/now' }) +
      'not json\n' +
      line('warned', { level: 'warn', connection: 'b', object: 'Lead' }) +
      '{"torn',
  );
  writeFileSync(join(folder, 'worker.log'), line('another file'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test.each<[string, Partial<LogFilter>, string[]]>([
  ['everything from info on, oldest file first', {}, ['oldest', 'contact', 'warned']],
  ['one connection', { connection: 'a' }, ['oldest', 'contact']],
  ['one object', { object: 'Lead' }, ['warned']],
  ['one run, by a part of its id', { run: 'a/now' }, ['contact']],
  ['warnings', { level: 'warn' }, ['warned']],
  ['all levels', { level: 'debug' }, ['oldest', 'debugging', 'contact', 'warned']],
  ['the newest', { limit: 1 }, ['warned']],
])('%s', async (_, filter, messages) => {
  const found = await readLog(folder, { level: 'info', limit: 100, ...filter });
  expect(found.map(({ message }) => message)).toEqual(messages);
});

test('no log at all is a mistake with a remedy', async () => {
  await expect(readLog(join(folder, 'none'), { level: 'info', limit: 1 })).rejects.toMatchObject({
    code: 'INPUT_INVALID',
  });
});
