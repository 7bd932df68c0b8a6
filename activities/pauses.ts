// Objects that an operator has left out for a while; connections are paused by their schedule.
import type { Ledger } from '../stores/ledger/ledger.ts';

export function pauseKey(connection: string, object: string): string {
  return `pause/${connection}/${object}`;
}

export async function isPaused(ledger: Ledger, connection: string, object: string): Promise<boolean> {
  return (await ledger.meta(pauseKey(connection, object))) === 'paused';
}
