import { isLosslessNumber, stringify } from 'lossless-json';
import type { InboxEvent } from '../../schemas/inbox.ts';
import type { TakenRecord } from '../../sources/source.ts';
import { BODY_BYTES_MAX } from '../app.ts';
import { readRecords, type Line } from '../ingest/records.ts';
import { Problem } from '../problem.ts';

/** What a message says, and what of it is not taken; `why` repeats nothing that was sent (I5). */
export interface ReadMessage {
  events: InboxEvent[];
  refused: { body: Buffer; count: number; field: string | null; reason: string } | null;
}

/**
 * One record, or a list of them, in the form of `POST /v1/ingest`. `keyed`: the sender's own id of the message. Of a list with
 * some records that do not fit, the others are taken.
 */
export function readMessage(
  { body, contentType, keyed }: { body: Buffer; contentType: string; keyed: string },
  take: (record: unknown, keyed: string) => TakenRecord,
): ReadMessage {
  const whole = (reason: string): ReadMessage => ({
    events: [],
    refused: { body, count: 1, field: null, reason },
  });
  if (body.length > BODY_BYTES_MAX) return whole(`is larger than ${BODY_BYTES_MAX} bytes`);
  let lines: Line[];
  try {
    lines = readRecords(body, contentType);
  } catch (error) {
    if (error instanceof Problem) return whole(error.message);
    throw error;
  }
  const events: InboxEvent[] = [];
  const left: unknown[] = [];
  let first: { field: string | null; reason: string } | undefined;
  for (const line of lines) {
    const taken: TakenRecord =
      line === undefined ? { ok: false, field: null, reason: 'is no JSON' } : take(line.value, keyed);
    if (taken.ok) {
      events.push(taken.event);
      continue;
    }
    first ??= taken;
    left.push(line?.value);
  }
  if (first === undefined) return { events, refused: null };
  const { field, reason } = first;
  // A line that is no JSON cannot be told apart from its message any more.
  const isPart = events.length > 0 && left.every((value) => value !== undefined);
  const text = isPart ? (stringify(left, undefined, undefined, NUMBERS) ?? '[]') : undefined;
  const kept = text === undefined ? body : Buffer.from(text);
  return { events, refused: { body: kept, count: left.length, field, reason } };
}

/** Numbers keep their digits. */
const NUMBERS = [{ test: isLosslessNumber, stringify: String }];
