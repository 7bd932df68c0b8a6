import { expect, test } from '@jest/globals';
import { counts, summaryLine } from '../../../scripts/test-results.ts';

const results = {
  numPassedTests: 412,
  numFailedTests: 0,
  numPendingTests: 2,
  numTodoTests: 0,
  numRuntimeErrorTestSuites: 0,
};

test('the line of .ci/run counts what jest counted', () => {
  expect(summaryLine(counts(JSON.stringify(results)))).toBe('412 passed, 0 failed, 2 skipped');
});

test('a suite that could not even run is a failure, not nothing', () => {
  const line = summaryLine(counts(JSON.stringify({ ...results, numRuntimeErrorTestSuites: 1 })));
  expect(line).toBe('412 passed, 1 failed, 2 skipped');
});

test('without a summary there is a failure', () => {
  expect(summaryLine(counts(undefined))).toBe('0 passed, 1 failed, 0 skipped');
});
