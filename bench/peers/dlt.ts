import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FIELD_NAMES } from '../contact.ts';
import { checksumOfFile } from '../limit.ts';
import type { Peer } from './peer.ts';
import { run, venv } from './venv.ts';

const PACKAGES = ['dlt[duckdb,parquet]==1.31.0', 'duckdb==1.5.6', 'simple-salesforce==1.12.10'];
const SCRIPT = fileURLToPath(new URL('dlt_salesforce.py', import.meta.url));
const LOAD_MS_MAX = 10 * 60_000;

export function dlt(): Peer {
  let folderOfDlt = '';
  return {
    name: 'dlt 1.31.0 with Parquet',
    kind: 'connector',
    knownS: 76,
    async prepare() {
      folderOfDlt = await venv('dlt', PACKAGES);
    },
    async load({ sandbox }, folder) {
      const file = join(folder, 'dlt.duckdb');
      const options = {
        url: sandbox.url,
        clientId: sandbox.clientId,
        clientSecret: sandbox.clientSecret,
        soql: `SELECT ${FIELD_NAMES.join(',')} FROM Contact`,
        folder,
        file,
      };
      const { ms } = await run(join(folderOfDlt, 'bin', 'python'), [SCRIPT, JSON.stringify(options)], {
        timeoutMs: LOAD_MS_MAX,
        cwd: folder,
        env: { RUNTIME__DLTHUB_TELEMETRY: 'false', TZ: 'UTC' },
      });
      const columns = { id: 'id', stamp: 'system_modstamp', amount: null };
      return { ms, exact: false, landed: await checksumOfFile(file, 'bench.contact', columns) };
    },
  };
}
