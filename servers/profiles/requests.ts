import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { ApiKey } from '../keys.ts';
import { Problem } from '../problem.ts';

const ISSUES_MAX = 5;
const EMPTY = {};

/** Problem 400 that names the place and what is expected there, and never repeats the value (I5). */
export function parsed<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value ?? EMPTY);
  if (result.success) return result.data;
  const mistakes = result.error.issues.slice(0, ISSUES_MAX).map(({ path, message, code }) => ({
    at: path.map(String).join('.'),
    // What was sent is named by no message but this one, which lists unknown keys.
    expected: code === 'unrecognized_keys' ? 'has a key that is not known here' : message,
  }));
  const [first] = mistakes;
  const where = first === undefined || first.at === '' ? 'The request' : first.at;
  throw new Problem(400, `${where}: ${first?.expected ?? 'is not what is expected'}.`, {
    more: { mistakes },
  });
}

export function keyOf({ key }: FastifyRequest): ApiKey {
  if (key === null) throw new Problem(401, 'Send an API key as `Authorization: Bearer hw_…`.');
  return key;
}

/** A body that is JSON text already. */
export async function sendJson(reply: FastifyReply, text: string): Promise<FastifyReply> {
  return reply.header('content-type', 'application/json; charset=utf-8').send(Buffer.from(text));
}

export const moved = (id: string, rest: string): string => `/v1/profiles/${id}${rest}`;

/** The query of a request as it was written, with its question mark. */
export function queryText(url: string): string {
  const at = url.indexOf('?');
  return at === -1 ? '' : url.slice(at);
}
