import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { beginningOf, copyWithout, longLines } from '../../../shaper/long-lines.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'long-lines-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Fields with everything that makes a line hard to find, quoted where they must be and sometimes where not. */
const field = fc
  .tuple(fc.array(fc.constantFrom('"', '\n', '\r', ',', 'é', 'x', ''), { maxLength: 12 }), fc.boolean())
  .map(([parts, quote]) => {
    const text = parts.join('');
    return quote || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  });
const line = fc
  .tuple(fc.array(field, { minLength: 1, maxLength: 4 }), fc.constantFrom('\n', '\r\n'))
  .map(([fields, end]) => `${fields.join(',')}${end}`);

test('exactly the lines above the limit are found, whatever stands in quotes, and the copy lacks just these', async () => {
  const path = join(folder, 'page.csv');
  const out = join(folder, 'copy.csv');
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 20 }),
      fc.integer({ min: 1, max: 30 }),
      fc.boolean(),
      async (written, bytesMax, ended) => {
        const lines = ended ? written : [...written, '"last",line'];
        await writeFile(path, lines.join(''));
        const found = await longLines(path, bytesMax);
        const isLong = (text: string) => Buffer.byteLength(text) > bytesMax;
        const texts = await Promise.all(found.map((one) => beginningOf(path, one, 1_000)));
        expect(texts).toEqual(lines.filter(isLong));
        await copyWithout(path, found, out);
        expect(await readFile(out, 'utf8')).toBe(lines.filter((text) => !isLong(text)).join(''));
      },
    ),
    { numRuns: 150 },
  );
});
