import { Agent, request as undiciRequest, type Dispatcher } from 'undici';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { HeadwaterError } from '../rules/errors.ts';
import type { SourceContext } from './source.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 60_000;
const BODY_IDLE_TIMEOUT_MS = 60_000;
const CONNECTIONS_MAX = 16;
const KEEP_ALIVE_MS = 30_000;
export const ERROR_BODY_BYTES_MAX = 4096;
/** What `text()` holds in memory at once; row bodies are streamed and have no such limit. */
export const TEXT_BYTES_MAX = 64 * 1024 * 1024;
const MESSAGE_CHARS_MAX = 300;
const RETRY_AFTER_MS_MAX = 24 * 3_600_000;

export interface HttpRequest {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  url: string;
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal | undefined;
}

/** A body ends in one of two ways: complete, or with a thrown HeadwaterError. Consume one of `body`, `bytes`, `text`, once. */
export interface HttpResponse {
  status: number;
  headers: Record<string, string>;
  body: AsyncIterable<Uint8Array>;
  /** At most TEXT_BYTES_MAX. */
  bytes: () => Promise<Buffer>;
  text: () => Promise<string>;
  /** Reads what is left so that the connection can be used again. */
  discard: () => Promise<void>;
}

/** An answer that is not 2xx: its body cut to 4 KB and without tokens. */
export interface HttpFailure {
  status: number;
  headers: Record<string, string>;
  text: string;
  retryAfterMs: number | undefined;
}

/**
 * Keep-alive HTTP for all sources. Every call first waits for the connection's token bucket. Nothing is retried here
 * except once a GET whose kept-alive socket was closed by the other side: retries belong to Temporal.
 * When `signal` aborts, its reason is thrown unchanged, so that a cancellation is recognised.
 */
export class HttpClient {
  private readonly context: SourceContext;
  private readonly agent: Agent;

  constructor(context: SourceContext) {
    this.context = context;
    this.agent = new Agent({
      connect: { timeout: CONNECT_TIMEOUT_MS, allowH2: false },
      headersTimeout: HEADERS_TIMEOUT_MS,
      bodyTimeout: BODY_IDLE_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connections: CONNECTIONS_MAX,
      pipelining: 1,
    });
  }

  /** Any status; redirects are not followed. Throws SOURCE_UNAVAILABLE when there is no answer. */
  async send(request: HttpRequest): Promise<HttpResponse> {
    const where = hostAndPath(request.url);
    try {
      return await this.sendOnce(request, where);
    } catch (error) {
      if (request.method !== 'GET' || !isStaleSocket(error)) throw networkError(error, where, request.signal);
    }
    try {
      return await this.sendOnce(request, where);
    } catch (error) {
      throw networkError(error, where, request.signal);
    }
  }

  /** Like `send`, but throws `httpError` unless the status is 2xx. */
  async request(request: HttpRequest, secrets: readonly string[] = []): Promise<HttpResponse> {
    const response = await this.send(request);
    if (response.status >= 200 && response.status < 300) return response;
    throw httpError(await readFailure(response, this.context.now(), secrets), hostAndPath(request.url));
  }

  async close(): Promise<void> {
    await this.agent.destroy();
  }

  private async sendOnce(request: HttpRequest, where: string): Promise<HttpResponse> {
    request.signal?.throwIfAborted();
    await this.context.acquire(1, request.signal);
    const answer = await undiciRequest(request.url, {
      dispatcher: this.agent,
      method: request.method,
      headers: request.headers ?? {},
      ...(request.body === undefined ? {} : { body: request.body }),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    });
    return wrap(answer, where, request.signal);
  }
}

function wrap(answer: Dispatcher.ResponseData, where: string, signal: AbortSignal | undefined): HttpResponse {
  const headers = flatten(answer.headers);
  const raw = headers['content-encoding'] === 'gzip' ? unpacked(answer.body) : answer.body;
  const body = guarded(raw, where, signal);
  return {
    status: answer.statusCode,
    headers,
    body,
    bytes: () => readBytes(body, where),
    text: async () => (await readBytes(body, where)).toString('utf8'),
    discard: async () => {
      await answer.body.dump();
    },
  };
}

/** `pipeline` carries an error of either stream into the other; its callback only keeps it from being unhandled. */
function unpacked(body: Readable): Readable {
  return pipeline(body, createGunzip(), () => undefined);
}

/** A body that breaks off must never look complete: every way it can end early becomes an error here. */
async function* guarded(
  raw: AsyncIterable<Uint8Array>,
  where: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of raw) yield chunk;
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason;
    const timeout = codeOf(error) === 'UND_ERR_BODY_TIMEOUT';
    throw new HeadwaterError(
      timeout ? 'SOURCE_UNAVAILABLE' : 'SOURCE_PROTOCOL',
      timeout
        ? `${where} sent nothing for ${BODY_IDLE_TIMEOUT_MS / 1000} s`
        : `the answer of ${where} broke off (${codeOf(error)})`,
      { cause: error },
    );
  }
}

async function readBytes(body: AsyncIterable<Uint8Array>, where: string): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > TEXT_BYTES_MAX) {
      throw new HeadwaterError(
        'SOURCE_PROTOCOL',
        `the answer of ${where} is larger than ${TEXT_BYTES_MAX} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Reads at most 4 KB of an error's body; a body that breaks off still gives the status. */
export async function readFailure(
  response: HttpResponse,
  nowMs: number,
  secrets: readonly string[],
): Promise<HttpFailure> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response.body) {
      chunks.push(chunk.subarray(0, ERROR_BODY_BYTES_MAX - bytes));
      bytes += chunk.byteLength;
      if (bytes >= ERROR_BODY_BYTES_MAX) break;
    }
  } catch (error) {
    // The status says enough; but a cancellation is not an answer.
    if (!(error instanceof HeadwaterError)) throw error;
  }
  return {
    status: response.status,
    headers: response.headers,
    text: scrub(Buffer.concat(chunks).toString('utf8'), secrets),
    retryAfterMs: retryAfterMs(response.headers['retry-after'], nowMs),
  };
}

/**
 * The meaning of a status where the source's own error codes say nothing better. The body of such an answer is withheld: it
 * may quote a record (I5).
 */
export function httpError(failure: HttpFailure, where: string, said = ''): HeadwaterError {
  const { status } = failure;
  const message = `${where} answered ${status}${said === '' ? '' : `: ${said}`}`;
  const details = { status };
  if (status === 401) return new HeadwaterError('AUTH_FAILED', message, { details });
  if (status === 403) return new HeadwaterError('PERMISSION_DENIED', message, { details });
  if (status === 429 || (status === 503 && failure.retryAfterMs !== undefined)) {
    const wait = failure.retryAfterMs === undefined ? {} : { retryAfterMs: failure.retryAfterMs };
    return new HeadwaterError('SOURCE_THROTTLED', message, { details, ...wait });
  }
  if (status >= 500) return new HeadwaterError('SOURCE_UNAVAILABLE', message, { details });
  return new HeadwaterError(status >= 400 ? 'SOURCE_REJECTED' : 'SOURCE_PROTOCOL', message, { details });
}

/** Retry-After as seconds or as an HTTP date; undefined when absent or unreadable, at most a day. */
export function retryAfterMs(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  if (Number.isNaN(ms)) return undefined;
  return Math.min(Math.max(ms, 0), RETRY_AFTER_MS_MAX);
}

/** I5: takes out the known secrets and everything that has the form of a token. */
export function scrub(text: string, secrets: readonly string[] = []): string {
  let clean = text;
  for (const secret of secrets) if (secret.length >= 4) clean = clean.replaceAll(secret, '[secret]');
  return clean
    .replaceAll(/\b00D[0-9A-Za-z]{8,15}![\w.]+/g, '[secret]')
    .replaceAll(/\bBearer\s+[\w.!~+/-]+=*/gi, 'Bearer [secret]')
    .replaceAll(/\beyJ[\w-]+\.[\w-]+\.[\w-]+/g, '[secret]')
    .replaceAll(
      /((?:client_secret|refresh_token|access_token|assertion)"?\s*[=:]\s*"?)[^&"\s,}]+/gi,
      '$1[secret]',
    );
}

/**
 * I5: a vendor's own words in a message of ours, safe by construction: repeated only for codes whose words are about schema,
 * syntax, limits or log-in, and masked even then. Everything else may quote a record, in any words, so it stays where it is.
 */
export function vendorWords(
  code: string,
  text: string,
  plain: { codes: ReadonlySet<string>; readIn: string },
): string {
  if (text.trim() === '') return '';
  if (plain.codes.has(code)) return oneLine(maskValues(text));
  return `its text is withheld, since it may hold personal values; it can be read in ${plain.readIn}`;
}

/** A code is an identifier; anything else in its place may be a text. */
export function vendorCode(code: string): string {
  return /^[A-Za-z][\w.:-]{0,79}$/.test(code) ? code : 'an unreadable code';
}

/** I5: an error text may quote the record that it is about. Names of fields and objects stay, values go. */
export function maskValues(text: string): string {
  return text
    .replaceAll(/[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g, '[value]')
    .replaceAll(/(["'])((?:(?!\1).){1,300})\1/g, (quoted, mark: string, inside: string) =>
      /^[A-Za-z]\w*(?:\.\w+)*$/.test(inside) ? quoted : `${mark}[value]${mark}`,
    )
    .replaceAll(/\+?\d[\d ().-]{6,}\d/g, '[value]');
}

export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, MESSAGE_CHARS_MAX);
}

/** True for 127.0.0.1, ::1 and localhost: only there may a secret travel without TLS. */
export function isLoopback(url: URL): boolean {
  return /^(?:127(?:\.\d{1,3}){3}|\[::1\]|localhost)$/.test(url.hostname);
}

/** Never the query: it may hold identifiers. */
function hostAndPath(url: string): string {
  const { host, pathname } = new URL(url);
  return host + pathname;
}

function networkError(error: unknown, where: string, signal: AbortSignal | undefined): unknown {
  if (error instanceof HeadwaterError) return error;
  if (signal?.aborted === true) return signal.reason;
  return new HeadwaterError('SOURCE_UNAVAILABLE', `no answer from ${where} (${codeOf(error)})`, {
    details: { reason: codeOf(error) },
    cause: error,
  });
}

function isStaleSocket(error: unknown): boolean {
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  // By shape, not by class: an error of another realm is no instance of ours.
  if (typeof error !== 'object' || error === null) return 'unknown error';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'name' in error && typeof error.name === 'string' ? error.name : 'unknown error';
}

function flatten(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name.toLowerCase()] = Array.isArray(value) ? value.join(', ') : value;
  }
  return flat;
}
