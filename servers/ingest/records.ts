import { parse } from 'lossless-json';
import { Problem } from '../problem.ts';

export const RECORDS_MAX = 1_000;

/** Undefined: this line is no JSON. */
export type Line = { value: unknown } | undefined;

/**
 * A JSON object, a JSON list, or one JSON object per line, whichever the body is: tools set the content type as they like. Numbers
 * keep their digits. Problem 400 (nothing readable) or 413 (more than 1,000).
 */
export function readRecords(body: Buffer, contentType: string): Line[] {
  const text = decoded(body);
  const lines = /ndjson|json-?lines|jsonl/i.test(contentType) ? undefined : readJson(text);
  const found = lines ?? readLines(text);
  if (found.length > RECORDS_MAX) {
    throw new Problem(413, `A request has at most ${RECORDS_MAX} records, this one ${found.length}.`);
  }
  if (found.every((line) => line === undefined)) {
    throw new Problem(400, 'The body is neither JSON nor one JSON object per line.');
  }
  return found;
}

function decoded(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new Problem(400, 'The body is no UTF-8 text.');
  }
}

function readJson(text: string): Line[] | undefined {
  const line = readLine(text);
  if (line === undefined) return undefined;
  return Array.isArray(line.value) ? line.value.map((value: unknown) => ({ value })) : [line];
}

function readLines(text: string): Line[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  // Beyond the limit nothing is read: the answer is the same.
  return lines.length > RECORDS_MAX ? lines.map(() => undefined) : lines.map(readLine);
}

function readLine(text: string): Line {
  try {
    return { value: parse(text) };
  } catch {
    return undefined;
  }
}
