import { HeadwaterError } from '../rules/errors.ts';
import type { Instant } from '../schemas/instant.ts';
import type { Call } from './command.ts';

/** A moment that an option gives, read as UTC when it names no zone. */
export function momentOption(call: Call, name: string): Instant | undefined {
  const given = call.options.text(name);
  if (given === undefined) return undefined;
  const zoned =
    /[Zz]$|[+-]\d\d:?\d\d$/.test(given) || !given.includes(':') ? given : `${given.replace(' ', 'T')}Z`;
  const ms = Date.parse(zoned);
  if (!Number.isNaN(ms)) return new Date(ms).toISOString();
  throw new HeadwaterError('INPUT_INVALID', `--${name} cannot be ${JSON.stringify(given)}`, {
    remedy: 'Write a time such as 2026-11-21T08:00:00Z.',
  });
}
