import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporalCliPath } from '../support/temporal.ts';

/** What a client's fetchHistory gives, as far as it is needed here. */
interface History {
  events?:
    | {
        workflowExecutionStartedEventAttributes?: {
          workflowId?: string | null;
          originalExecutionRunId?: string | null;
        } | null;
      }[]
    | null;
}

const ROOT = join(import.meta.dirname, '..', '..');
const FOLDER = join(import.meta.dirname, '..', 'replay', 'histories');

/** With UPDATE_HISTORIES=1 a test leaves the history of its run for test/replay, as the Temporal CLI prints it. */
export async function saveHistory(address: string, name: string, history: History): Promise<void> {
  if (process.env['UPDATE_HISTORIES'] !== '1') return;
  const started = history.events?.[0]?.workflowExecutionStartedEventAttributes;
  const ids = ['--workflow-id', started?.workflowId ?? '', '--run-id', started?.originalExecutionRunId ?? ''];
  const json = execFileSync(await temporalCliPath(), [
    'workflow',
    'show',
    '--address',
    address,
    ...ids,
    '--output',
    'json',
  ]);
  // Stack traces in failures name this checkout; nothing in a history depends on it.
  writeFileSync(join(FOLDER, `${name}.json`), json.toString('utf8').replaceAll(ROOT, ''));
}
