import { appendFileSync, existsSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log } from '../activities/dependencies.ts';

/** Past this size the file is moved to `<path>.1`: at most twice this much is kept. */
const LOG_BYTES_MAX = 20 * 1024 * 1024;

/** Structured lines, one JSON object each, kept by run and object for `headwater logs`. Never a record's values (I5). */
export function fileLog(path: string): Log {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let bytes = existsSync(path) ? statSync(path).size : 0;
  return (level, message, fields = {}) => {
    const line = `${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`;
    if (bytes > LOG_BYTES_MAX) {
      renameSync(path, `${path}.1`);
      bytes = 0;
    }
    appendFileSync(path, line, { mode: 0o600 });
    bytes += Buffer.byteLength(line);
  };
}
