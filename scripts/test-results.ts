/** Where `npm run test:all` leaves jest's summary, and the one line that .ci/run ends with. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

export const RESULTS_FILE = join(
  dirname(fileURLToPath(import.meta.url)),
  '..',
  '.cache',
  'test-results.json',
);

const count = z.number().int().nonnegative();
const resultsSchema = z.object({
  numPassedTests: count,
  numFailedTests: count,
  numPendingTests: count,
  numTodoTests: count,
  numRuntimeErrorTestSuites: count,
});

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** A suite that could not run counts as one failure; so does a missing summary. */
export function counts(text: string | undefined): Counts {
  if (text === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const results = resultsSchema.parse(JSON.parse(text));
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}

export function summaryLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** The text of the summary, undefined when there is none. */
export function readResults(): string | undefined {
  try {
    return readFileSync(RESULTS_FILE, 'utf8');
  } catch {
    return undefined;
  }
}

if (import.meta.main) console.log(summaryLine(counts(readResults())));
