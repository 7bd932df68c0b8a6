import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { endOfLog, followLines } from '../../../cli/log-follow.ts';
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

test('following tells complete lines only, over a rotation, and ends with the signal', async () => {
  const path = join(mkdtempSync(join(folder, 'follow-')), 'worker.ndjson');
  writeFileSync(path, 'before\n');
  const control = new AbortController();
  const seen: string[] = [];
  const until = async (count: number) => {
    for (let tries = 0; seen.length < count && tries < 200; tries += 1) await sleep(50);
  };
  const following = (async () => {
    for await (const text of followLines(path, endOfLog(path), control.signal)) seen.push(text);
  })();
  appendFileSync(path, 'one\ntw');
  await until(1);
  expect(seen).toEqual(['one']);
  appendFileSync(path, 'o\nlast of the old\n');
  renameSync(path, `${path}.1`);
  writeFileSync(path, 'first of the new\n');
  await until(4);
  appendFileSync(path, 'then\n');
  await until(5);
  control.abort();
  await following;
  expect(seen).toEqual(['one', 'two', 'last of the old', 'first of the new', 'then']);
});

test('a log is read up to where following begins', async () => {
  const end = endOfLog(join(folder, 'worker.ndjson'));
  appendFileSync(join(folder, 'worker.ndjson'), `"}\n${line('new')}`);
  const found = await readLog(folder, { level: 'info', limit: 100 }, end.offset);
  expect(found.at(-1)?.message).toBe('warned');
});

test('no log at all is a mistake with a remedy', async () => {
  await expect(readLog(join(folder, 'none'), { level: 'info', limit: 1 })).rejects.toMatchObject({
    code: 'INPUT_INVALID',
  });
});
