import { firstLine, messageOf } from './sql.ts';

/** Errors of servers that speak the protocol of Postgres, as the driver gives them. */
const NETWORK = /^(?:ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND|ENOENT$)/;
const BROKEN = /terminated|not queryable|timeout|ended|closed/i;

/** The five characters of the server, the driver's or Node's code; empty where there is none. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

export const isServers = (error: unknown): boolean => /^[0-9A-Z]{5}$/.test(codeOf(error));

/** The server does not answer, or ends this connection. */
export function isGone(error: unknown): boolean {
  const code = codeOf(error);
  if (isServers(error)) return code.startsWith('08') || code.startsWith('57P');
  if (typeof error === 'object' && error !== null && 'errors' in error && Array.isArray(error.errors))
    return error.errors.some(isGone);
  return NETWORK.test(code) || BROKEN.test(messageOf(error));
}

/** I5: words of these classes are about names, rights and resources. Those of 22 and 23 quote values: only their code is told. */
const PLAIN_CLASSES: ReadonlySet<string> = new Set([
  '08',
  '0A',
  '25',
  '28',
  '3D',
  '3F',
  '40',
  '42',
  '53',
  '54',
  '55',
  '57',
]);

/** `server`: its name, where its words cannot be told. */
export function serverWords(error: unknown, server: string): string {
  const code = codeOf(error);
  if (!isServers(error)) return code === '' ? firstLine(error) : code;
  return PLAIN_CLASSES.has(code.slice(0, 2)) ? `${firstLine(error)} (${code})` : `error ${code} of ${server}`;
}
