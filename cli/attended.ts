import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Call } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { temporalAddress } from './temporal-address.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Runs one of our own modules as a process with our stdin and stdout, passes signals on, and resolves with its exit code. */
export async function attended(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...words], {
    stdio: 'inherit',
    env: environment,
  });
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
}

/** Where Temporal is, as far as anybody knows now: events and changes are accepted without it too. */
export async function environmentOf(call: Call): Promise<NodeJS.ProcessEnv> {
  try {
    const { address, namespace } = temporalAddress(await call.load(), call.environment);
    return { ...call.environment, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace };
  } catch {
    return call.environment;
  }
}
