// When a step fails: the names of what it was about, for the commands in the failure's remedy.
import type { Names } from '../rules/errors.ts';
import { BEGINNING } from '../schemas/inputs.ts';
import { ORIGIN } from '../schemas/instant.ts';
import type { Ledger } from '../stores/ledger/ledger.ts';

/** Never throws: without a ledger that answers, what the input itself says. */
export async function namesOf(ledger: Ledger, input: unknown): Promise<Names> {
  const given: Record<string, unknown> = typeof input === 'object' && input !== null ? { ...input } : {};
  const connection = textOrNone(given['connection']) ?? connectionOf(given['given']);
  const window = textOrNone(given['window']);
  if (window === undefined) return { connection };
  try {
    const { object, from, until } = (await ledger.progress(window)).window;
    return { connection, object, window, from: from === ORIGIN ? BEGINNING : from, until };
  } catch {
    return { connection, window };
  }
}

/** A backfill's input lies one level deeper. */
function connectionOf(given: unknown): string | undefined {
  return typeof given === 'object' && given !== null && 'connection' in given
    ? textOrNone(given.connection)
    : undefined;
}

function textOrNone(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
