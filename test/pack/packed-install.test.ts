/** What a user gets: the packed files, installed into an empty folder, run on that machine's own Node. */
import { execFile, type ExecFileException } from 'node:child_process';
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { temporalCliPath } from '../support/temporal.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const INSTALL_MS_MAX = 300_000;
const OUTPUT_BYTES_MAX = 8_000_000;

const CONFIG = `import { defineConfig, env } from 'headwater';

export default defineConfig({
  connections: {
    acme: {
      kind: 'salesforce',
      loginUrl: env('ACME_URL'),
      auth: { grant: 'client_credentials', clientId: env('ACME_ID'), clientSecret: env('ACME_SECRET') },
      objects: ['Account'],
      schedule: { every: '1h' },
    },
  },
  warehouse: { kind: 'duckdb', path: 'warehouse.duckdb' },
});
`;

const skipped = process.env['HEADWATER_TEST_ALL'] !== '1';
// Installing takes about a minute, so only the complete run does it.
const packed = skipped ? test.skip : test;
let folder = '';

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function run(command: string, words: string[], cwd: string): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd, env: ownEnvironment(), maxBuffer: OUTPUT_BYTES_MAX, timeout: INSTALL_MS_MAX };
    execFile(command, words, options, (error: ExecFileException | null, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, stdout, stderr });
    });
  });
}

/** As in a user's shell: without the pinned Node that npm puts first, and without what an outer npm says to an inner one. */
function ownEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(?:npm_|ACME_|HEADWATER_|NODE_OPTIONS)/.test(name) ||
      /^npm_config_(?:registry|cache|userconfig)$/.test(name),
  );
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((part) => !part.includes('node_modules'));
  return { ...Object.fromEntries(kept), PATH: path.join(delimiter), NO_COLOR: '1' };
}

/** As `headwater start --json` prints it, as far as it is needed here. */
interface Started {
  ok: boolean;
  runs: {
    connection: string;
    outcome: string;
    objects: { object: string; rows: number; verdict: string }[];
  }[];
}

const headwater = (...words: string[]) =>
  run(join(folder, 'node_modules', '.bin', 'headwater'), words, folder);

beforeAll(async () => {
  if (skipped) {
    console.log('SKIPPED: the packed install, run `npm run test:all`');
    return;
  }
  folder = await realpath(await mkdtemp(join(tmpdir(), 'headwater-packed-')));
  const made = await run('npm', ['pack', '--silent', '--pack-destination', folder], ROOT);
  expect(made).toMatchObject({ code: 0 });
  const tarball = join(folder, made.stdout.trim().split('\n').at(-1) ?? '');
  await writeFile(join(folder, 'package.json'), '{ "name": "acme", "private": true }\n');
  const words = ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball];
  // Fetched once for all tests, so that the packed command finds it and no test waits for it.
  await temporalCliPath();
  const installed = await run('npm', words, folder);
  expect(installed).toMatchObject({ code: 0 });
  await writeFile(join(folder, 'headwater.config.ts'), CONFIG);
}, INSTALL_MS_MAX);

afterAll(async () => {
  if (folder !== '') await rm(folder, { recursive: true, force: true });
});

packed('the command runs, though Node strips no types inside node_modules', async () => {
  const help = await headwater('--help');
  expect(help.code).toBe(0);
  expect(help.stdout).toContain('headwater <command> [options]');
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  expect((await headwater('--version')).stdout.trim()).toBe(version);
});

packed('a mistake in the configuration is one line and exit code 2', async () => {
  await writeFile(join(folder, 'bad.config.ts'), CONFIG.replace("'1h'", "'a fortnight'"));
  const { code, stdout, stderr } = await headwater('check', '--config', 'bad.config.ts');
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain('connections.acme.schedule.every');
});

packed('a configuration of the user imports defineConfig from headwater', async () => {
  const { code, stdout, stderr } = await headwater('check');
  expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
  expect(stdout).toContain('environment variable ACME_URL is not set');
});

packed('its types check in a project without any other types', async () => {
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const words = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024', 'headwater.config.ts'];
  expect(await run(process.execPath, [tsc, ...words], folder)).toMatchObject({ code: 0, stdout: '' });
  await writeFile(join(folder, 'headwater.config.ts'), CONFIG.replace('warehouse:', 'warehose:'));
  expect((await run(process.execPath, [tsc, ...words], folder)).stdout).toContain('warehose');
  await writeFile(join(folder, 'headwater.config.ts'), CONFIG);
});

packed(
  'the demo runs: server, sandbox and worker start, rows land, each window has its receipt',
  async () => {
    const demo = join('node_modules', 'headwater', 'dist', 'headwater.config.js');
    const words = ['start', '--once', '--json', '--records', '200', '--config', demo];
    const { code, stdout, stderr } = await headwater(...words);
    const said = code === 0 ? '' : `${stdout}${stderr}`;
    expect({ code, said }).toEqual({ code: 0, said: '' });
    const { ok, runs }: Started = JSON.parse(stdout);
    expect(ok).toBe(true);
    expect(runs.map(({ connection, outcome }) => [connection, outcome])).toEqual([
      ['salesforce', 'ok'],
      ['hubspot', 'ok'],
    ]);
    const lines = runs.flatMap(({ objects }) => objects);
    expect(lines.reduce((rows, line) => rows + line.rows, 0)).toBeGreaterThan(100);
    expect(lines.filter(({ verdict }) => verdict !== 'proven' && verdict !== 'moved')).toEqual([]);
  },
);
