import { HeadwaterError } from '../rules/errors.ts';
import type { CheckResult } from '../sources/source.ts';
import type { Call } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { tableLines } from './output.ts';

/** One look at one thing, with the part of the installation that it belongs to. */
export interface Check extends CheckResult {
  of: string;
}

/** Turns what a look throws into a line of its own, so that one broken part does not hide the others. */
export async function looking(
  of: string,
  check: string,
  look: () => Promise<CheckResult[]>,
): Promise<Check[]> {
  try {
    return (await look()).map((result) => ({ of, ...result }));
  } catch (error) {
    const { message, remedy } =
      error instanceof HeadwaterError
        ? error
        : { message: error instanceof Error ? error.message : String(error), remedy: '' };
    return [
      { of, check, ok: false, detail: message.split('\n')[0] ?? '', ...(remedy === '' ? {} : { remedy }) },
    ];
  }
}

/** Prints the lines and gives the exit code: any failure is one. */
export function printChecks(call: Call, checks: readonly Check[]): number {
  if (call.json) call.output.json(checks);
  else {
    const rows = checks.map(({ of, check, ok, detail, remedy }) => [
      ok ? call.output.style('green', '✓') : call.output.style('red', '✗'),
      of,
      check,
      remedy === undefined || ok ? detail : `${detail} → ${remedy}`,
    ]);
    const columns = [{ title: '' }, { title: '' }, { title: '' }, { title: '' }];
    for (const line of tableLines(columns, rows).slice(1)) call.output.line(line);
  }
  return checks.every(({ ok }) => ok) ? EXIT.ok : EXIT.failed;
}
