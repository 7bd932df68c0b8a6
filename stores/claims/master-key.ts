import { randomBytes } from 'node:crypto';
import { link, mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MASTER_KEY_BYTES } from './vault.ts';

/**
 * The key in this file (`claims.key`, mode 0600), made at the first use. Whoever has it and the store can read every value:
 * keep a copy, apart from the copies of the store. Several processes may come first; one key is made.
 */
export async function masterKeyFrom(path: string): Promise<Buffer> {
  try {
    return parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(`${randomBytes(MASTER_KEY_BYTES).toString('hex')}\n`);
    // Lost with the power, the key would take every value with it.
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, path);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  } finally {
    await rm(draft, { force: true });
  }
  return parse(await readFile(path, 'utf8'));
}

/** Vault refuses what is not 32 bytes. */
function parse(text: string): Buffer {
  return Buffer.from(text.trim(), 'hex');
}

function hasCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
