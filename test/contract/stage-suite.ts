import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Stage } from '../../stores/stage/stage.ts';

export interface StageFactory {
  name: string;
  create: () => Promise<{ open: () => Promise<Stage>; destroy: () => Promise<void> }>;
}

async function* chunks(...parts: (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(Buffer.from(part));
}

/** What every stage must do; a new back end passes it unchanged. */
export function stageSuite(factory: StageFactory): void {
  let store: Awaited<ReturnType<StageFactory['create']>>;
  let stage: Stage;
  beforeEach(async () => {
    store = await factory.create();
    stage = await store.open();
  });
  afterEach(async () => {
    await store.destroy();
  });

  test(`${factory.name}: one id for all who open it`, async () => {
    const other = await store.open();
    const ids = await Promise.all([stage.id(), other.id(), stage.id()]);
    expect(new Set(ids).size).toBe(1);
    expect(ids[0]).toMatch(/^[0-9a-f-]{36}$/);
  });

  test(`${factory.name}: what is written is read back, under a key of its content`, async () => {
    const file = await stage.write('w_1/0/page-0', 'csv', chunks('Id,Name\n', '', '1,a\n'), {});
    expect(file).toEqual({
      key: expect.stringMatching(/^w_1\/0\/page-0-[0-9a-f]{16}\.csv$/),
      bytes: 12,
      sha256: 'e409d11bf25a051bfef6e2c1b322604976e90fe5066f85fef670c00fe9790eef',
      nulBytes: 0,
    });
    expect(await readFile(await stage.path(file.key), 'utf8')).toBe('Id,Name\n1,a\n');
    expect(await stage.exists(file.key)).toBe(true);
    const unnamed = await stage.write('w_1/1', 'csv', chunks('x'), {});
    expect(unnamed.key).toMatch(/^w_1\/1\/[0-9a-f]{16}\.csv$/);
  });

  test(`${factory.name}: the same content is the same key, other content another`, async () => {
    const first = await stage.write('w_1/0/p', 'csv', chunks('ab'), {});
    expect(await stage.write('w_1/0/p', 'csv', chunks('a', 'b'), {})).toEqual(first);
    expect((await stage.write('w_1/0/p', 'csv', chunks('ac'), {})).key).not.toBe(first.key);
  });

  test(`${factory.name}: of one slice only the named files stay; other slices are not touched`, async () => {
    const keep = await stage.write('w_1/0/rows', 'parquet', chunks('keep'), {});
    const gone = await stage.write('w_1/0/page-0', 'csv', chunks('gone'), {});
    const other = await stage.write('w_1/1/page-0', 'csv', chunks('other'), {});
    for (let time = 0; time < 2; time += 1) await stage.keepOnly('w_1/0', [keep.key]);
    await stage.keepOnly('w_2/0', []);
    const there = await Promise.all([keep, gone, other].map(({ key }) => stage.exists(key)));
    expect(there).toEqual([true, false, true]);
  });

  test(`${factory.name}: NUL bytes are taken out and counted where asked, kept elsewhere`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ max: 3, maxLength: 40 }), { maxLength: 6 }),
        async (parts) => {
          const all = Buffer.concat(parts);
          const kept = all.filter((byte) => byte !== 0);
          const file = await stage.write('w_nul/0/p', 'csv', chunks(...parts), { stripNul: true });
          expect(file).toMatchObject({ bytes: kept.length, nulBytes: all.length - kept.length });
          expect(await readFile(await stage.path(file.key))).toEqual(Buffer.from(kept));
          const whole = await stage.write('w_nul/1/p', 'csv', chunks(...parts), {});
          expect(whole).toMatchObject({ bytes: all.length, nulBytes: 0 });
        },
      ),
      { numRuns: 25 },
    );
  });

  test(`${factory.name}: a body that fails, or an abort, leaves nothing`, async () => {
    async function* failing(): AsyncIterable<Uint8Array> {
      yield await Promise.resolve(Buffer.from('some'));
      throw new Error('connection lost');
    }
    async function* hanging(): AsyncIterable<Uint8Array> {
      yield Buffer.from('some');
      await new Promise(() => undefined);
    }
    await expect(stage.write('w_1/0/p', 'csv', failing(), {})).rejects.toThrow('connection lost');
    const abort = new AbortController();
    const write = stage.write('w_1/0/p', 'csv', hanging(), { signal: abort.signal });
    setTimeout(() => abort.abort(new Error('cancelled')), 20);
    await expect(write).rejects.toThrow('cancelled');
    await expect(stage.write('w_1/0/p', 'csv', chunks('a'), { signal: abort.signal })).rejects.toThrow(
      'cancelled',
    );
    expect(await stage.usage()).toEqual([]);
  });

  test(`${factory.name}: another program’s file is adopted, once it is whole`, async () => {
    const [named, unnamed] = [
      await stage.reserve('w_1/0/rows', 'parquet'),
      await stage.reserve('w_1/0', 'parquet'),
    ];
    expect(named).toMatch(/\.parquet$/);
    await writeFile(named, 'columns');
    await writeFile(unnamed, 'columns');
    expect(await stage.usage()).toEqual([]);
    const file = await stage.adopt(named);
    const written = await stage.write('w_1/0/rows', 'parquet', chunks('columns'), {});
    expect(file).toEqual(written);
    expect((await stage.adopt(unnamed)).key).toMatch(/^w_1\/0\/[0-9a-f]{16}\.parquet$/);
    await expect(stage.adopt('/etc/hostname')).rejects.toEqual(expect.objectContaining({ code: 'INTERNAL' }));
  });

  test(`${factory.name}: a removed window is gone, and only that one`, async () => {
    const [one, two] = [
      await stage.write('w_1/0/p', 'csv', chunks('one'), {}),
      await stage.write('w_2/0/p', 'csv', chunks('three'), {}),
    ];
    expect((await stage.usage()).map(({ window, bytes }) => ({ window, bytes }))).toEqual([
      { window: 'w_1', bytes: 3 },
      { window: 'w_2', bytes: 5 },
    ]);
    await stage.remove('w_1');
    await stage.remove('w_1');
    await expect(stage.path(one.key)).rejects.toEqual(expect.objectContaining({ code: 'STAGE_MISSING' }));
    expect(await stage.exists(one.key)).toBe(false);
    expect(await stage.exists(two.key)).toBe(true);
  });

  test.each([
    '../w/0',
    'w/../../x',
    '/w/0',
    'w//0',
    'w/.hidden',
    'w',
    '',
    'w/0/a b',
    'w/0/a\0',
    `w/0/${'a'.repeat(101)}`,
  ])(`${factory.name}: refuses the key "%s"`, async (key) => {
    const refused = expect.objectContaining({ code: 'INTERNAL' });
    await expect(stage.write(key, 'csv', chunks('a'), {})).rejects.toEqual(refused);
    await expect(stage.reserve(key, 'csv')).rejects.toEqual(refused);
    await expect(stage.path(key)).rejects.toEqual(refused);
  });

  test(`${factory.name}: names of windows and extensions cannot lead out`, async () => {
    const refused = expect.objectContaining({ code: 'INTERNAL' });
    await expect(stage.remove('..')).rejects.toEqual(refused);
    await expect(stage.remove('w_1/0')).rejects.toEqual(refused);
    await expect(stage.write('w/0', 'csv/../x', chunks('a'), {})).rejects.toEqual(refused);
  });

  test(`${factory.name}: too little room is said before anything is written`, async () => {
    await stage.assertRoom(1);
    await expect(stage.assertRoom(2 ** 60)).rejects.toEqual(expect.objectContaining({ code: 'STAGE_FULL' }));
  });
}
