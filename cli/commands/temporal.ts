import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from '../command.ts';
import { findTemporalBinary } from '../dev/temporal-binary.ts';
import { EXIT } from '../exit-codes.ts';
import { temporalAddress } from '../temporal-address.ts';

export const temporal: Command = {
  name: 'temporal',
  summary: "Temporal's own command line, on this installation",
  usage: '<arguments of temporal…>',
  example: 'temporal workflow list --limit 5',
  about: 'Address and namespace are set; everything after `temporal` goes to the Temporal CLI as it is.',
  options: {},
  arguments: { min: 0, max: 0 },
  passThrough: true,
  async run(call) {
    const target = temporalAddress(await call.load(), call.environment);
    const { path } = await findTemporalBinary({
      env: call.environment,
      progress: (text) => call.output.note(text),
    });
    const child = spawn(path, [...call.arguments], {
      stdio: 'inherit',
      env: { ...call.environment, TEMPORAL_ADDRESS: target.address, TEMPORAL_NAMESPACE: target.namespace },
    });
    // A terminal interrupts the child itself; this process waits for its end to pass its code on.
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
    process.on('SIGINT', () => {});
    return new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        resolve(code ?? (signal === null ? EXIT.failed : 128 + constants.signals[signal]));
      });
    });
  },
};
