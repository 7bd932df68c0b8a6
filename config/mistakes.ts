import { z } from 'zod';
import { nearest } from './nearest.ts';
import { formatPath, isRecord, type Path } from './secrets.ts';

const SHOWN_CHARS_MAX = 40;
/** A value under such a key is never shown, not even when it is wrong (I5). */
const SENSITIVE = /secret|password|token|key|credential/i;

/** One mistake in one line: `connections.salesforce.objects: is missing. Write …`. */
export interface Mistake {
  path: Path;
  message: string;
}

/** Zod's issues in the words of someone who writes a configuration. `schema` and `input` are what was parsed. */
export function mistakesOf(
  issues: readonly z.core.$ZodIssue[],
  schema: z.ZodType,
  input: unknown,
): Mistake[] {
  return issues.flatMap((issue) => explain(issue, schema, input));
}

export function formatMistake(file: string, { path, message }: Mistake): string {
  return path.length === 0 ? `${file}: ${message}` : `${file}: ${formatPath(path)}: ${message}`;
}

function explain(issue: z.core.$ZodIssue, schema: z.ZodType, input: unknown): Mistake[] {
  const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part));
  const value = valueAt(input, path);
  const shown = show(value, path);
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, path);
    return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey(key, known) }));
  }
  if (issue.code === 'invalid_union' && issue.errors.length === 0) {
    return [{ path, message: notListed(value, shown, literalsAt(schema, path)) }];
  }
  if (value === undefined && issue.code !== 'custom') {
    return [{ path, message: `is missing. Write ${expectation(issue)}.` }];
  }
  if (issue.code === 'invalid_union') return closestBranch(issue, schema, input, path, shown);
  if (issue.code === 'invalid_key') {
    return [{ path, message: sentence(issue.issues[0]?.message ?? 'is no possible name') }];
  }
  if (issue.code === 'invalid_value') {
    return [{ path, message: notListed(value, shown, issue.values.map(String)) }];
  }
  // A schema's own words are better than ours.
  if (issue.code !== 'custom' && !/^(Invalid|Too|Unrecognized)\b/.test(issue.message)) {
    return [{ path, message: sentence(`${shown} is not possible here: ${issue.message}`) }];
  }
  if (issue.code === 'custom') return [{ path, message: sentence(issue.message) }];
  return [{ path, message: `${shown} is not possible here. Write ${expectation(issue)}.` }];
}

function notListed(value: unknown, shown: string, choices: string[]): string {
  const written = listed(choices.map((choice) => `'${choice}'`));
  if (value === undefined) return `is missing. Write ${written}.`;
  const guess = typeof value === 'string' ? nearest(value, choices) : undefined;
  const hint = guess === undefined ? '' : ` Did you mean '${guess}'?`;
  return `${shown} is not possible here.${hint} Write ${written}.`;
}

/** Of several shapes, explain the one whose mistakes lie deepest: that is the shape that was meant. */
function closestBranch(
  issue: z.core.$ZodIssueInvalidUnion,
  schema: z.ZodType,
  input: unknown,
  path: Path,
  shown: string,
): Mistake[] {
  const depthOf = (branch: z.core.$ZodIssue[]) => Math.max(0, ...branch.map((inner) => inner.path.length));
  const deepest = issue.errors.toSorted((left, right) => depthOf(right) - depthOf(left))[0] ?? [];
  const keyed = issue.errors.find((branch) => branch.every(({ code }) => code === 'unrecognized_keys'));
  const chosen = depthOf(deepest) > 0 ? deepest : keyed;
  if (chosen && chosen.length > 0) {
    const located = chosen.map((inner) => ({ ...inner, path: [...path, ...inner.path] }));
    return mistakesOf(located, schema, input);
  }
  const choices = [...new Set(issue.errors.flatMap((branch) => branch.slice(0, 1).map(expectation)))];
  return [
    { path, message: `${shown} is not possible here. Write ${choices.join(' or ') || expectation(issue)}.` },
  ];
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_value':
      return listed(issue.values.map((value) => (typeof value === 'string' ? `'${value}'` : String(value))));
    case 'invalid_type':
      return TYPE_WORDS[issue.expected] ?? issue.expected;
    case 'too_small':
      if (issue.origin === 'string') return 'some text';
      if (issue.origin === 'array') return `a list of at least ${String(issue.minimum)}`;
      return `${issue.inclusive === false ? 'more than' : 'at least'} ${String(issue.minimum)}`;
    case 'too_big':
      return `${issue.inclusive === false ? 'less than' : 'at most'} ${String(issue.maximum)}`;
    case 'invalid_format':
      return issue.format === 'url'
        ? "a URL such as 'https://login.example.com'"
        : `text of the form ${issue.pattern ?? issue.format}`;
    case 'invalid_union':
      return (
        issue.errors.flatMap((branch) => branch.slice(0, 1).map(expectation)).join(' or ') || 'another value'
      );
    default:
      return 'another value';
  }
}

const TYPE_WORDS: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: "a list such as ['Account', 'Contact']",
  object: 'an object { … }',
  record: 'an object { … }',
};

function unknownKey(key: string, known: string[]): string {
  const guess = nearest(key, known);
  if (guess !== undefined) return `is unknown. Did you mean ${guess}?`;
  return known.length === 0 ? 'is unknown. Remove it.' : `is unknown. Known here: ${known.join(', ')}.`;
}

/** The keys that a schema knows at a path. */
export function keysAt(schema: z.ZodType, path: Path): string[] {
  const shapes = schemasAt(schema, path).filter((found) => found instanceof z.ZodObject);
  return [...new Set(shapes.flatMap((found) => Object.keys(found.shape)))];
}

function literalsAt(schema: z.ZodType, path: Path): string[] {
  const literals = schemasAt(schema, path).filter((found) => found instanceof z.ZodLiteral);
  return literals.flatMap((found) => [...found.values].map(String));
}

/** What a schema asks for at a path, through the wrappers that zod puts around it; several where it is a union. */
function schemasAt(schema: z.ZodType, path: Path): z.ZodType[] {
  const [head, ...rest] = path;
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => behind(option, path));
  if (schema instanceof z.ZodPipe) return behind(schema.in, path);
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodReadonly
  ) {
    return behind(schema.unwrap(), path);
  }
  if (head === undefined) return [schema];
  if (schema instanceof z.ZodRecord) return behind(schema.valueType, rest);
  if (schema instanceof z.ZodArray) return behind(schema.element, rest);
  const next = schema instanceof z.ZodObject ? schema.shape[String(head)] : undefined;
  return next ? behind(next, rest) : [];
}

function behind(schema: unknown, path: Path): z.ZodType[] {
  return schema instanceof z.ZodType ? schemasAt(schema, path) : [];
}

function valueAt(input: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, part) => {
    if (Array.isArray(value)) return value[Number(part)];
    return isRecord(value) ? value[part] : undefined;
  }, input);
}

/** I5: nothing under a sensitive key, and nothing long, is repeated in a message. */
function show(value: unknown, path: Path): string {
  if (path.some((part) => typeof part === 'string' && SENSITIVE.test(part))) return 'The value';
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string' && value.length <= SHOWN_CHARS_MAX) return JSON.stringify(value);
  if (Array.isArray(value)) return 'A list';
  return typeof value === 'object' ? 'An object' : `A ${typeof value}`;
}

function listed(values: string[]): string {
  return values.length < 2
    ? (values[0] ?? '')
    : `${values.slice(0, -1).join(', ')} or ${values.at(-1) ?? ''}`;
}

function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}
