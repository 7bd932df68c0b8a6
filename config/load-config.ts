import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { HeadwaterError } from '../rules/errors.ts';
import { parseConfig, type Kinds } from './parse-config.ts';
import type { Config } from './schema.ts';

const CONFIG_FILES = [
  'headwater.config.ts',
  'headwater.config.mjs',
  'headwater.config.js',
  'headwater.config.json',
];

export interface LoadedConfig {
  config: Config;
  /** The file that was read. */
  path: string;
  /** Where ledger, stage, logs and the running services' addresses lie. */
  home: string;
}

/**
 * Reads and checks the configuration. The file is `path`, else HEADWATER_CONFIG, else the one in this folder; the home is
 * `home`, else HEADWATER_HOME, else `.headwater` beside the file, or
 * `.headwater-acme` for a file named acme.config.ts. Nothing is created and no secret is resolved.
 * CONFIG_INVALID carries every mistake in `details.lines`, one line each.
 */
export async function loadConfig(
  options: { path?: string; home?: string; kinds?: Kinds; environment?: NodeJS.ProcessEnv } = {},
): Promise<LoadedConfig> {
  const { environment = process.env } = options;
  const path = findConfig(options.path ?? environment['HEADWATER_CONFIG']);
  const home = resolve(options.home ?? (environment['HEADWATER_HOME'] || homeBeside(path)));
  const file = basename(path);
  const input = await importConfig(path, file);
  const kinds = options.kinds ?? (await import('./registered-kinds.ts')).registeredKinds();
  const parsed = parseConfig(input, { file, home, kinds });
  if (parsed.ok) return { config: parsed.config, path, home };
  throw invalid(parsed.lines);
}

/** Two configurations in one folder never share their state. */
function homeBeside(path: string): string {
  const [, name] = /^(.+?)(?:\.config)?\.(?:ts|mjs|js|json)$/.exec(basename(path)) ?? [];
  return join(
    dirname(path),
    name === undefined || name === 'headwater' ? '.headwater' : `.headwater-${name}`,
  );
}

function findConfig(asked: string | undefined): string {
  if (asked) {
    const path = resolve(asked);
    if (existsSync(path)) return path;
    throw invalid([
      `${asked}: there is no such file. Name it with --config, or write one with \`npx headwater init\`.`,
    ]);
  }
  const found = CONFIG_FILES.map((name) => resolve(name)).find((path) => existsSync(path));
  if (found) return found;
  throw invalid([
    `headwater.config.ts: there is none in this folder. Write one with \`npx headwater init\`, or name it with --config.`,
  ]);
}

async function importConfig(path: string, file: string): Promise<unknown> {
  try {
    if (path.endsWith('.json')) return JSON.parse(readFileSync(path, 'utf8'));
    const module: { default?: unknown } = await import(pathToFileURL(path).href);
    if (module.default !== undefined) return module.default;
  } catch (cause) {
    const first = (cause instanceof Error ? cause.message : String(cause)).split('\n')[0] ?? '';
    throw invalid([`${file}: cannot be read: ${first}`], cause);
  }
  throw invalid([`${file}: has no default export. Write \`export default defineConfig({ … })\`.`]);
}

function invalid(lines: string[], cause?: unknown): HeadwaterError {
  const more = lines.length > 1 ? ` (and ${lines.length - 1} more)` : '';
  return new HeadwaterError('CONFIG_INVALID', `${lines[0] ?? 'the configuration is wrong'}${more}`, {
    details: { lines },
    ...(cause === undefined ? {} : { cause }),
  });
}
