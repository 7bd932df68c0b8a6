import { access, constants, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Warehouse } from '../warehouse.ts';
import { rowsOf } from './client.ts';
import type { Client } from './client.ts';

/** Below this much free space a load may fail in the middle. */
export const FREE_BYTES_MIN = 1024 ** 3;

export async function checkFile(client: Client, path: string): ReturnType<Warehouse['check']> {
  const results: Awaited<ReturnType<Warehouse['check']>> = [];
  const [row] = await client.read('checking the version', (connection) =>
    rowsOf(connection, 'SELECT version() AS version'),
  );
  results.push({ check: 'duckdb', ok: true, detail: `${path}, DuckDB ${String(row?.['version'])}` });
  const writable = await access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
  const readOnly = { remedy: 'Give the worker the right to write to this file.' };
  results.push({
    check: 'file',
    ok: writable,
    detail: `${path} ${writable ? 'is' : 'is not'} writable`,
    ...(writable ? {} : readOnly),
  });
  const disk = await statfs(dirname(path));
  const free = disk.bavail * disk.bsize;
  const enough = free >= FREE_BYTES_MIN;
  const full = { remedy: 'Free space on this disk or move the warehouse.' };
  results.push({
    check: 'disk',
    ok: enough,
    detail: `${(free / 1024 ** 3).toFixed(1)} GiB free`,
    ...(enough ? {} : full),
  });
  return results;
}
