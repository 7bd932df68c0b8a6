// The MCP server as a process of an assistant: the protocol on stdin and stdout, and nothing else there.
import { Console } from 'node:console';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { loadConfig, type LoadedConfig } from '../../config/load-config.ts';
import { resolveSecrets } from '../../config/secrets.ts';
import { HeadwaterError } from '../../rules/errors.ts';
import { lastWords } from '../../rules/last-words.ts';
import { fileLog } from '../../workers/log.ts';
import { BODY_BYTES_MAX } from '../app.ts';
import { ChangeRuns } from '../changes/runs.ts';
import { Keys } from '../keys.ts';
import { Problem } from '../problem.ts';
import { profileService } from '../profiles/service.ts';
import { openServices } from '../services.ts';
import { Tally } from '../tally.ts';
import { mcpServer } from './server.ts';

/** Answers under way get this long when the assistant goes or the process is told to stop. */
const DRAIN_MS_MAX = 5_000;
const LOOK_MS = 20;
/** One assistant reads few profiles. */
const PROFILES_MAX = 1_000;
const KEY_VARIABLE = 'HEADWATER_KEY';

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string' }, 'key-file': { type: 'string' } } });
  const loaded = await loadConfig(values.config === undefined ? {} : { path: values.config });
  requireProfiles(loaded);
  const authorization = `Bearer ${givenKey(values['key-file'])}`;
  const log = fileLog(join(loaded.home, 'logs', 'mcp.ndjson'));
  const opened = await openServices(loaded, { log });
  // One that is shared is fed by the server; a process that comes and goes reads the claims themselves.
  const cache = { kind: 'memory' as const, profilesMax: PROFILES_MAX };
  const services = { ...opened, serve: { ...opened.serve, cache } };
  const keys = new Keys(services.serve.keys, services.now);
  const tally = new Tally(log);
  const profiles = profileService(services);
  try {
    requireKey(keys, authorization);
    // Not the feeder: without it each read goes to the claims, and an idle assistant costs nothing.
    profiles.freshness.start();
    const calls = { running: 0 };
    const server = mcpServer(
      { services, profiles, runs: new ChangeRuns(services) },
      {
        admit() {
          calls.running += 1;
          return keys.admit(authorization, 'read');
        },
        note(kind) {
          calls.running -= 1;
          tally.add(`mcp ${kind}`);
        },
      },
    );
    const gone = stopped();
    await server.connect(
      new StdioServerTransport(process.stdin, process.stdout, { maxBufferSize: BODY_BYTES_MAX }),
    );
    log('info', 'an assistant is connected', {});
    await gone;
    await drained(calls);
    await server.close();
  } finally {
    tally.close();
    await profiles.stop();
    await opened.close();
  }
}

/** The assistant closes stdin when it goes. */
async function stopped(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve());
    for (const event of ['end', 'close', 'error'] as const) process.stdin.once(event, () => resolve());
    process.stdout.on('error', () => resolve());
  });
}

async function drained(calls: Readonly<{ running: number }>): Promise<void> {
  const until = performance.now() + DRAIN_MS_MAX;
  // What was read last has not begun yet.
  do await sleep(LOOK_MS);
  while (calls.running > 0 && performance.now() < until);
}

/** I5: the key comes by a file or the environment, since everybody sees a command line. SECRET_MISSING. */
function givenKey(file: string | undefined): string {
  const secret = file === undefined ? { env: KEY_VARIABLE } : { file };
  return String(resolveSecrets({ $secret: secret }, 'mcp')).trim();
}

function requireProfiles({ config }: LoadedConfig): void {
  if (config.profiles !== undefined) return;
  throw new HeadwaterError('CONFIG_INVALID', 'profiles: is missing, so there is nothing for an assistant', {
    remedy: 'Write `profiles: {}` into headwater.config.ts.',
  });
}

function requireKey(keys: Keys, authorization: string): void {
  try {
    keys.admit(authorization, 'read');
  } catch (error) {
    const lacks = error instanceof Problem && error.status === 403;
    throw new HeadwaterError(
      'CONFIG_INVALID',
      lacks ? 'mcp: this key lacks the scope read' : `mcp: no key of serve.keys is the one that was given`,
      {
        cause: error,
        remedy:
          'Make one with `npx headwater keys new`, and write its hash into serve.keys with the scope read.',
      },
    );
  }
}

// What a package prints would break the protocol.
globalThis.console = new Console(process.stderr);
main()
  .then(() => process.exit(0))
  .catch((error: unknown) => {
    const { text, exitCode } = lastWords(error);
    process.stderr.write(`${text}\n`);
    process.exit(exitCode);
  });
