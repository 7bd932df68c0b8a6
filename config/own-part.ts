import { z } from 'zod';
import { mistakesOf, type Mistake } from './mistakes.ts';
import { formatPath, mapSecrets, type Path } from './secrets.ts';

/**
 * Stand in for secrets while a configuration is checked: a schema may ask for a URL, for digits, for an address. The value
 * itself is checked when it is resolved.
 */
const PLACEHOLDERS = ['https://secret.invalid', 'secret', '1', 'secret@placeholder.invalid', 'AAAA'] as const;

/**
 * Checks what a source's or warehouse's own schema says about its part of the configuration, with secret references
 * allowed wherever it takes text.
 */
export function checkOwnPart(schema: z.ZodType, part: Record<string, unknown>): Mistake[] {
  const chosen = new Map<string, string>();
  const references: Path[] = [];
  mapSecrets(part, (_, path) => references.push(path));
  let filled: unknown = part;
  for (const placeholder of PLACEHOLDERS) {
    filled = mapSecrets(part, (_, path) => {
      const at = formatPath(path);
      if (!chosen.has(at)) chosen.set(at, placeholder);
      return chosen.get(at);
    });
    const parsed = schema.safeParse(filled);
    if (parsed.success) return [];
    const mistakes = mistakesOf(parsed.error.issues, schema, filled);
    const elsewhere = mistakes.filter(
      ({ path }) => !references.some((reference) => startsWith(path, reference)),
    );
    if (elsewhere.length > 0) return elsewhere;
    for (const { path } of mistakes) chosen.delete(formatPath(path));
  }
  return references
    .filter((path) => !chosen.has(formatPath(path)))
    .map((path) => ({ path, message: 'a secret reference is not possible here. Write the value.' }));
}

function startsWith(path: Path, start: Path): boolean {
  return start.every((part, index) => path[index] === part);
}
