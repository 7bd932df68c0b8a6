import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Call, Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { moduleFile } from '../module-file.ts';
import { temporalAddress } from '../temporal-address.ts';

const SERVERS = moduleFile('servers/main');
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export const serve: Command = {
  name: 'serve',
  summary: 'Take webhooks and serve profiles, and stay',
  usage: '',
  example: 'serve --webhooks',
  about:
    'One process with two listeners, at the addresses of `serve` in the configuration; with an\noption only that one. `start` runs both beside the worker. Its first line is JSON with their\nURLs; its log is logs/serve.ndjson in the home. Ctrl-C lets answers under way finish.',
  options: {
    webhooks: { type: 'boolean', help: 'Webhooks and ingest only' },
    profiles: { type: 'boolean', help: 'Profiles only' },
  },
  arguments: { min: 0, max: 0 },
  async run(call) {
    const { path, home } = await call.load();
    const chosen = (['webhooks', 'profiles'] as const).filter((name) => call.options.flag(name));
    const child = spawn(
      process.execPath,
      [
        ...['--disable-warning=ExperimentalWarning', SERVERS, '--config', path],
        ...chosen.map((name) => `--${name}`),
      ],
      { stdio: 'inherit', env: { ...(await environmentOf(call)), HEADWATER_HOME: home } },
    );
    // A terminal interrupts the child itself; this process stays until it has drained, to pass its code on.
    const pass = (signal: NodeJS.Signals) => child.kill(signal);
    for (const signal of SIGNALS) process.on(signal, pass);
    try {
      return await new Promise<number>((resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code, signal) => {
          resolve(code ?? (signal === null ? EXIT.failed : 128 + constants.signals[signal]));
        });
      });
    } finally {
      for (const signal of SIGNALS) process.off(signal, pass);
    }
  },
};

/** Where Temporal is, as far as anybody knows now: events are accepted without it too. */
async function environmentOf(call: Call): Promise<NodeJS.ProcessEnv> {
  try {
    const { address, namespace } = temporalAddress(await call.load(), call.environment);
    return { ...call.environment, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace };
  } catch {
    return call.environment;
  }
}
