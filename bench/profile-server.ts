/**
 * What bench/profile-reads.ts measures, each in a process of its own: `bare`, a node:http server that answers with what Redis has
 * under the id, or `api`, the profile API over the same Redis. Prints its address; `cpu` on stdin is answered with what it has used.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from 'redis';
import { parseConfig } from '../config/parse-config.ts';
import { registeredKinds } from '../config/registered-kinds.ts';
import { createApp } from '../servers/app.ts';
import { profileRoutes } from '../servers/profiles/routes.ts';
import type { Services } from '../servers/services.ts';
import { openSqliteClaims } from '../stores/claims/sqlite.ts';
import { openInbox } from '../stores/inbox/open.ts';
import { openSqliteLedger } from '../stores/ledger/sqlite.ts';

const PATH = '/v1/profiles/';

async function bare(url: string, prefix: string): Promise<string> {
  const client = createClient({ url });
  await client.connect();
  const server = createServer((request, response) => {
    void client.get(prefix + (request.url ?? '').slice(PATH.length)).then((value) => {
      const body = Buffer.from(value ?? '{}');
      response.writeHead(value === null ? 404 : 200, {
        'content-type': 'application/json; charset=utf-8',
        'content-length': body.length,
      });
      response.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the bare server has no port');
  return `http://127.0.0.1:${address.port}`;
}

async function api(prefix: string, hash: string): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'headwater-profile-bench-'));
  process.once('exit', () => void rm(home, { recursive: true, force: true }));
  const input = {
    connections: {},
    warehouse: { kind: 'duckdb', path: 'warehouse.duckdb' },
    profiles: {},
    serve: {
      keys: { bench: { hash, perSecond: 1e9, burst: 1e9 } },
      cache: { kind: 'redis', url: { $secret: { env: 'BENCH_REDIS' } }, prefix },
    },
  };
  const parsed = parseConfig(input, { file: 'bench', home, kinds: registeredKinds() });
  if (!parsed.ok || parsed.config.serve === undefined) throw new Error(JSON.stringify(parsed));
  const now = () => new Date().toISOString();
  const claims = await openSqliteClaims({
    path: join(home, 'claims.db'),
    masterKey: randomBytes(32),
    rules: new Map(),
    now,
  });
  const ledger = await openSqliteLedger({ path: join(home, 'ledger.db') });
  const inbox = await openInbox({ path: join(home, 'inbox.db'), waitingMax: 1_000 });
  const services: Services = {
    loaded: { config: parsed.config, path: 'bench', home },
    serve: parsed.config.serve,
    inbox,
    ledger: async () => ledger,
    claims: async () => claims,
    temporal: async () => await Promise.reject(new Error('not here')),
    now: Date.now,
    log: () => undefined,
  };
  const app = createApp(services, { name: 'profiles' });
  profileRoutes(app, services);
  return await app.listen({ host: '127.0.0.1', port: 0 });
}

const [kind, prefix = '', hash = ''] = process.argv.slice(2);
const address =
  kind === 'bare' ? await bare(process.env['BENCH_REDIS'] ?? '', prefix) : await api(prefix, hash);
process.stdout.write(`${address}\n`);
createInterface({ input: process.stdin }).on('line', () => {
  const { user, system } = process.cpuUsage();
  process.stdout.write(`${(user + system) / 1e6}\n`);
});
process.stdin.once('end', () => process.exit(0));
