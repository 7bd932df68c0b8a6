// Part of every step that takes what a person wrote: JSON from the `temporal` CLI is user input, refused in one line.
import { HeadwaterError } from '../rules/errors.ts';

interface Parser<T> {
  safeParse(
    value: unknown,
  ):
    | { success: true; data: T }
    | { success: false; error: { issues: { path: PropertyKey[]; message: string }[] } };
}

export function checkInput<T>(schema: Parser<T>, given: unknown): T {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const lines = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'input'}: ${issue.message}`);
  throw new HeadwaterError('INPUT_INVALID', lines.join('; '));
}
