/** One request and its answer: body reading with a cap, JSON and streamed answers, and the faults that act on bytes. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGzip } from 'node:zlib';
import type { FaultAction } from './faults.ts';

const BODY_BYTES_MAX = 50 * 1024 * 1024;

/** A request whose body cannot be used; each system answers it in its own form. */
export class UnreadableBody extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Parses JSON that must be an object; throws otherwise. */
export function jsonObject(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value)) throw new TypeError('not a JSON object');
  return value;
}

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly method: string;
  readonly path: string;
  readonly params: URLSearchParams;
  fault: FaultAction | undefined;
  /** Set once the request has been authorised. */
  userId = '';
  private readonly gzip: boolean;
  private readonly headers: Record<string, string> = {};

  constructor(request: IncomingMessage, response: ServerResponse, gzip: boolean) {
    this.request = request;
    this.response = response;
    this.method = request.method ?? 'GET';
    const url = new URL(request.url ?? '/', 'http://sandbox');
    this.path = url.pathname;
    this.params = url.searchParams;
    this.gzip = gzip && /\bgzip\b/.test(request.headers['accept-encoding'] ?? '');
  }

  setHeader(name: string, value: string): void {
    this.headers[name] = value;
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  async text(): Promise<string> {
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const part of this.request as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > BODY_BYTES_MAX)
        throw new UnreadableBody(413, 'REQUEST_TOO_LARGE', 'request body is too large');
      parts.push(part);
    }
    return Buffer.concat(parts).toString('utf8');
  }

  async json(): Promise<Record<string, unknown>> {
    const text = await this.text();
    try {
      return jsonObject(text === '' ? '{}' : text);
    } catch {
      throw new UnreadableBody(400, 'JSON_PARSER_ERROR', 'The HTTP entity body is not a JSON object');
    }
  }

  async sendJson(status: number, value: unknown): Promise<void> {
    await this.sendText(status, 'application/json;charset=UTF-8', JSON.stringify(value));
  }

  async sendText(status: number, type: string, text: string): Promise<void> {
    const bytes = Buffer.from(text);
    if (!this.gzip) this.setHeader('content-length', String(bytes.length));
    await this.stream(status, type, [bytes]);
  }

  async sendNothing(status: number): Promise<void> {
    if (this.cut()) return;
    this.response.writeHead(status, this.headers).end();
    await Promise.resolve();
  }

  /** Sends chunks with backpressure; stops when the client has gone. */
  async stream(
    status: number,
    type: string,
    chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
  ): Promise<void> {
    if (this.cut()) return;
    const { response, fault } = this;
    this.setHeader('content-type', type);
    if (this.gzip) this.setHeader('content-encoding', 'gzip');
    const truncate = fault !== undefined && 'truncateAfterBytes' in fault ? fault : undefined;
    if (truncate?.clean === true) delete this.headers['content-length'];
    response.writeHead(status, this.headers);
    const zip = this.gzip ? createGzip() : undefined;
    zip?.pipe(response);
    const target = zip ?? response;
    let left = truncate?.truncateAfterBytes ?? Number.POSITIVE_INFINITY;
    const slow = fault !== undefined && 'bytesPerSecond' in fault ? fault.bytesPerSecond : undefined;
    for await (const chunk of slow === undefined ? chunks : slowed(chunks, slow)) {
      if (response.destroyed) return;
      const part = chunk.length > left ? chunk.subarray(0, left) : chunk;
      left -= part.length;
      if (!target.write(part)) await drained(target, response);
      if (left <= 0) break;
    }
    if (left <= 0 && truncate?.clean !== true) {
      // The bytes so far must leave before the connection goes.
      setTimeout(() => response.destroy(), 20);
      return;
    }
    target.end();
  }

  private cut(): boolean {
    if (this.fault === undefined || !('resetAfterWork' in this.fault)) return false;
    this.request.socket.resetAndDestroy();
    return true;
  }
}

const SLOW_STEP_MS = 50;

/** The same bytes in small parts, a part every step. */
async function* slowed(
  chunks: Iterable<Buffer> | AsyncIterable<Buffer>,
  bytesPerSecond: number,
): AsyncGenerator<Buffer> {
  const part = Math.max(1, Math.floor((bytesPerSecond * SLOW_STEP_MS) / 1000));
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += part) {
      await sleep(SLOW_STEP_MS);
      yield chunk.subarray(at, at + part);
    }
  }
}

/** Resolves when the target takes more, or when nobody reads any longer. */
function drained(target: Writable, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      target.off('drain', done);
      response.off('close', done);
      resolve();
    };
    target.on('drain', done);
    response.on('close', done);
  });
}
