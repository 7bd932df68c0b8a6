import { SqliteFile } from '../../sqlite.ts';
import { MIGRATIONS } from './schema.ts';

export type LedgerDatabase = SqliteFile;

export async function openLedgerDatabase(path: string, busyTimeoutMs: number): Promise<LedgerDatabase> {
  return await SqliteFile.open(path, {
    busyTimeoutMs,
    migrations: MIGRATIONS,
    // I5: cursors may name records; what an erasure overwrites leaves no trace in free space.
    pragmas: 'PRAGMA secure_delete = FAST',
  });
}
