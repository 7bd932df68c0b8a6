import { randomUUID } from 'node:crypto';
import { HeadwaterError } from '../../rules/errors.ts';
import { traceOf } from '../app.ts';
import { told } from '../problem.ts';
import type { Log } from '../services.ts';
import type { Tool } from './tool.ts';

const PROFILE_ID = /\/(p_[0-9a-f]{32})\b/;
const FIXES: Record<number, string> = {
  400: 'Send what the input schema of this tool describes.',
  401: 'A person gives this server an API key that `serve.keys` in headwater.config.ts knows.',
  403: 'Go on without it; a person decides in `serve.keys` of headwater.config.ts what this key may do.',
  409: 'Tell the person: `profiles.writeBack` in headwater.config.ts says which fields can be written.',
  410: 'It is gone for good: forget what you still know of it.',
  412: 'Read it again with read_profile and propose on what holds now.',
  422: 'Correct the value, or ask the person for it, and propose again.',
  500: 'Tell the person; asking again will not help.',
  502: 'Tell the person: a system of record does not let us in.',
};

export interface Failure {
  /** One line: what, where, the fix. */
  line: string;
  /** For the log: a status or a code, nothing that was sent (I5). */
  outcome: string;
}

/** What an assistant is told in the place of an answer; never a stack, and nothing that it sent (I5). */
export function failureOf(error: unknown, tool: Pick<Tool, 'name' | 'unknown'>, log: Log): Failure {
  const id = randomUUID();
  const { status, retryAfterMs, body } = told(error, id);
  if (status === 500) log('error', 'a tool failed', { request: id, tool: tool.name, ...traceOf(error) });
  const where = status === 500 ? `${tool.name}, ${id}` : tool.name;
  const what = String(body['detail']).replaceAll(/\s+/g, ' ').replace(/\.$/, '');
  const outcome = error instanceof HeadwaterError ? error.code : String(status);
  return { line: `${what} (${where}, ${status}) → ${fixOf(status, retryAfterMs, body, tool)}`, outcome };
}

function fixOf(
  status: number,
  retryAfterMs: number | undefined,
  { location }: Record<string, unknown>,
  { unknown }: Pick<Tool, 'unknown'>,
): string {
  if (status === 404) return unknown;
  const [, target] = PROFILE_ID.exec(typeof location === 'string' ? location : '') ?? [];
  if (target !== undefined) return `Ask again with profile_id ${target}.`;
  if (retryAfterMs !== undefined) return `Ask again in ${Math.max(1, Math.ceil(retryAfterMs / 1_000))} s.`;
  return FIXES[status] ?? 'Tell the person.';
}
