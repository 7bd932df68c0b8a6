/** ingestr's Salesforce source takes a domain and speaks https to it; a local server over http it may not reach. */
import { join } from 'node:path';
import { checksumOfFile } from '../limit.ts';
import type { Peer } from './peer.ts';
import { run, venv } from './venv.ts';

const PACKAGES = ['ingestr==0.15.9'];
const LOAD_MS_MAX = 2 * 60_000;

export function ingestr(): Peer {
  let folderOfIngestr = '';
  return {
    name: 'ingestr 0.15.9',
    kind: 'connector',
    knownS: 20.3,
    async prepare() {
      folderOfIngestr = await venv('ingestr', PACKAGES);
    },
    async load({ sandbox }, folder) {
      const file = join(folder, 'ingestr.duckdb');
      const login = new URLSearchParams({
        username: 'u',
        password: 'p',
        token: 't',
        domain: new URL(sandbox.url).host,
      });
      const { ms } = await run(
        join(folderOfIngestr, 'bin', 'ingestr'),
        [
          ...['ingest', '--yes', '--progress', 'log', '--source-uri', `salesforce://?${login.toString()}`],
          ...['--source-table', 'contact', '--dest-uri', `duckdb:///${file}`, '--dest-table', 'main.contact'],
        ],
        { timeoutMs: LOAD_MS_MAX, cwd: folder, env: { DISABLE_TELEMETRY: 'true', TZ: 'UTC' } },
      );
      const columns = { id: 'id', stamp: 'system_modstamp', amount: 'lifetime_value__c' };
      return { ms, exact: true, landed: await checksumOfFile(file, 'main.contact', columns) };
    },
  };
}
