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

/** `N passed, N failed, N skipped`. A suite that could not run counts as one failure; so does a missing summary. */
export function summaryLine(text: string | undefined): string {
  if (text === undefined) return '0 passed, 1 failed, 0 skipped';
  const results = resultsSchema.parse(JSON.parse(text));
  const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
  const skipped = results.numPendingTests + results.numTodoTests;
  return `${results.numPassedTests} passed, ${failed} failed, ${skipped} skipped`;
}

if (import.meta.main) console.log(summaryLine(readResults()));

function readResults(): string | undefined {
  try {
    return readFileSync(RESULTS_FILE, 'utf8');
  } catch {
    return undefined;
  }
}
