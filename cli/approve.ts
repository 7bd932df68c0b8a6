import { userInfo } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { HeadwaterError } from '../rules/errors.ts';
import type { Call, CommandOption } from './command.ts';

/** What every change of profiles asks for; the reason stays in the log for ever. */
export const CHANGE_OPTIONS: Record<string, CommandOption> = {
  reason: { type: 'string', value: '<text>', help: 'Why; kept in the log for ever' },
  'dry-run': { type: 'boolean', help: 'Only show what would change' },
  yes: { type: 'boolean', help: 'Go on without asking' },
};

export function reasonOf(call: Call): string {
  const reason = call.options.text('reason');
  if (reason !== undefined) return reason;
  throw new HeadwaterError('INPUT_INVALID', 'a reason is needed', {
    remedy: 'Add --reason "why"; it stays in the log for ever.',
  });
}

/** Who asks, as the log names it. */
export function actorOf({ environment }: Call): string {
  return environment['HEADWATER_ACTOR'] ?? environment['USER'] ?? userInfo().username;
}

/** Asks on a terminal; elsewhere --yes is needed. */
export async function agreed(call: Call, question: string): Promise<boolean> {
  if (call.options.flag('yes')) return true;
  if (call.json || !process.stdin.isTTY) {
    throw new HeadwaterError('INPUT_INVALID', 'nobody is here to ask', {
      remedy: 'Look with --dry-run, then add --yes.',
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
