/** Makes docs/errors.md from the catalog: `npm run docs:errors`. A test holds the two together. */
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ERRORS } from '../rules/errors.ts';

export const ERRORS_PAGE = join(dirname(fileURLToPath(import.meta.url)), '..', 'docs', 'errors.md');

export function errorsPage(): string {
  const rows = Object.entries(ERRORS)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([code, { retryable, remedy }]) => `| \`${code}\` | ${retryable ? 'yes' : 'no'} | ${cell(remedy)} |`,
    );
  return [
    '# Errors',
    '',
    'Every failure carries one of these codes: on the command line, as `type` of the failure in the Temporal UI, and in',
    'receipts and logs. *Retryable* means that Temporal tries the step again by itself; otherwise the run ends and the next',
    'one resumes the window once the cause is gone.',
    '',
    'This page is made from `rules/errors.ts` by `npm run docs:errors`.',
    '',
    '| code | retryable | what to do |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

if (import.meta.main && process.argv.includes('--write')) writeFileSync(ERRORS_PAGE, errorsPage());
