import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openDiskStage } from '../../stores/stage/disk.ts';
import { FileWriter } from '../../stores/stage/disk/writer.ts';
import { stageSuite } from './stage-suite.ts';

async function folder(): Promise<{ root: string; destroy: () => Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'stage-'));
  return { root: join(root, 'stage'), destroy: async () => await rm(root, { recursive: true }) };
}

stageSuite({
  name: 'disk',
  create: async () => {
    const { root, destroy } = await folder();
    return { open: async () => await openDiskStage({ root }), destroy };
  },
});

async function* one(text: string): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(Buffer.from(text));
}

test('files are for their owner alone', async () => {
  const { root, destroy } = await folder();
  const stage = await openDiskStage({ root });
  const { key } = await stage.write('w_1/0/p', 'csv', one('a'), {});
  const reserved = await stage.reserve('w_1/0/rows', 'parquet');
  await writeFile(reserved, 'b');
  await chmod(reserved, 0o644);
  const adopted = await stage.adopt(reserved);
  const mode = async (path: string) => (await stat(path)).mode & 0o777;
  expect(await mode(await stage.path(key))).toBe(0o600);
  expect(await mode(await stage.path(adopted.key))).toBe(0o600);
  expect(await mode(root)).toBe(0o700);
  expect(await mode(join(await stage.path(key), '..'))).toBe(0o700);
  await destroy();
});

test('opening sweeps what dead processes left, and nothing of a living one', async () => {
  const { root, destroy } = await folder();
  const stage = await openDiskStage({ root });
  const mine = await stage.reserve('w_1/0/rows', 'parquet');
  await writeFile(mine, 'half');
  const [own = ''] = await readdir(join(root, 'tmp'));
  const host = own.split('-')[0];
  const living = spawn(process.execPath, ['-e', 'setTimeout(() => undefined, 60000)']);
  const dead = spawn(process.execPath, ['-e', '']);
  await once(dead, 'exit');
  const names = {
    living: `${host}-${living.pid}-aaaaaaaaaaaa`,
    dead: `${host}-${dead.pid}-bbbbbbbbbbbb`,
    samePid: `${host}-${process.pid}-cccccccccccc`,
    otherHost: '00000000-1-dddddddddddd',
    otherHostOld: '00000000-1-eeeeeeeeeeee',
  };
  for (const name of Object.values(names)) await mkdir(join(root, 'tmp', name));
  await utimes(join(root, 'tmp', names.otherHostOld), 1, 1);
  await openDiskStage({ root });
  expect((await readdir(join(root, 'tmp'))).sort()).toEqual([own, names.living, names.otherHost].sort());
  living.kill();
  expect((await stage.adopt(mine)).bytes).toBe(4);
  await destroy();
});

test('nothing unfinished stays behind after writes that succeed or fail', async () => {
  const { root, destroy } = await folder();
  const stage = await openDiskStage({ root });
  await stage.write('w_1/0/p', 'csv', one('a'), {});
  await stage.write('w_1/0/p', 'csv', one('a'), {});
  const left = (await readdir(join(root, 'tmp'), { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isFile(),
  );
  expect(left).toEqual([]);
  await destroy();
});

test('a full disk is STAGE_FULL and leaves no file', async () => {
  const { root, destroy } = await folder();
  const stage = await openDiskStage({ root });
  async function* full(): AsyncIterable<Uint8Array> {
    yield await Promise.resolve(Buffer.from('a'));
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  }
  await expect(stage.write('w_1/0/p', 'csv', full(), {})).rejects.toEqual(
    expect.objectContaining({ code: 'STAGE_FULL' }),
  );
  expect(await stage.usage()).toEqual([]);
  await destroy();
});

test('the device’s own answer to a full disk ends the write', async () => {
  if ((await stat('/dev/full').catch(() => null)) === null) {
    console.log('SKIPPED: full device, Linux has one as /dev/full');
    return;
  }
  const writer = await FileWriter.create('/dev/full', false, 'r+');
  await writer.push(Buffer.alloc(8 * 1024 ** 2, 1));
  await expect(writer.finish()).rejects.toEqual(expect.objectContaining({ code: 'ENOSPC' }));
  await writer.abandon();
});

test('many chunks of all sizes are written whole and in order', async () => {
  const { root, destroy } = await folder();
  const stage = await openDiskStage({ root });
  const parts = Array.from({ length: 3_000 }, (_, index) =>
    Buffer.alloc((index * 7_919) % 9_000, index % 251),
  );
  async function* body(): AsyncIterable<Uint8Array> {
    for (const part of parts) yield await Promise.resolve(part);
  }
  const file = await stage.write('w_1/0/p', 'csv', body(), {});
  const again = await stage.write('w_1/0/p', 'csv', one(''), {});
  expect(file.bytes).toBe(parts.reduce((sum, part) => sum + part.length, 0));
  expect((await stat(await stage.path(file.key))).size).toBe(file.bytes);
  const reserved = await stage.reserve('w_1/0/p', 'csv');
  await writeFile(reserved, Buffer.concat(parts));
  expect((await stage.adopt(reserved)).sha256).toBe(file.sha256);
  expect(again.bytes).toBe(0);
  await destroy();
});
