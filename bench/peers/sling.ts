/** Sling has no free Salesforce source: curl feeds it the CSV of a finished bulk job, which leaves out what a job costs. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { contactSoql } from '../first-load.ts';
import { checksumOfFile } from '../limit.ts';
import type { Peer } from './peer.ts';
import { run, venv } from './venv.ts';

const PACKAGES = ['sling-linux-amd64==1.4.11', 'duckdb-cli==1.5.6'];
const LOAD_MS_MAX = 5 * 60_000;

export function sling(rows: number): Peer {
  let packages = '';
  return {
    name: 'Sling 1.4.11, fed by curl',
    kind: 'loader',
    knownS: 4.6,
    async prepare() {
      const folder = await venv('sling', PACKAGES);
      packages = join(folder, 'lib', await pythonFolder(folder), 'site-packages');
    },
    async load(stand, folder) {
      const { results, authorization } = await stand.sandbox.openJob(contactSoql());
      const file = join(folder, 'sling.duckdb');
      const binary = join(packages, 'sling_linux_amd64', 'bin', 'sling-linux-amd64');
      const source = `curl -sf -H "$AUTHORIZATION" '${stand.sandbox.url}${results}?maxRecords=${rows}'`;
      const { ms } = await run(
        'bash',
        [
          '-o',
          'pipefail',
          '-c',
          `${source} | ${binary} run --tgt-conn BENCH --tgt-object main.contact --mode full-refresh`,
        ],
        {
          timeoutMs: LOAD_MS_MAX,
          cwd: folder,
          env: {
            AUTHORIZATION: `Authorization: ${authorization}`,
            // Its default copy method needs an extension that DuckDB would have to download.
            BENCH: `duckdb://${file}?copy_method=named_pipes`,
            DUCKDB_USE_INSTALLED_EXTENSIONS: 'true',
            DUCKDB_PATH: join(packages, 'duckdb_cli', 'duckdb'),
            SLING_HOME_DIR: join(folder, 'sling-home'),
            SLING_DISABLE_TELEMETRY: 'true',
            TZ: 'UTC',
          },
        },
      );
      if (!existsSync(file)) throw new Error('Sling ended without a database');
      const columns = { id: '"id"', stamp: '"systemmodstamp"', amount: '"lifetime_value__c"' };
      return { ms, exact: true, landed: await checksumOfFile(file, 'main.contact', columns) };
    },
  };
}

async function pythonFolder(folder: string): Promise<string> {
  const code = 'import sys; print(f"python{sys.version_info.major}.{sys.version_info.minor}")';
  const { output } = await run(join(folder, 'bin', 'python'), ['-c', code], { timeoutMs: 10_000 });
  return output.trim();
}
