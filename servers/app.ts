import { randomUUID } from 'node:crypto';
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type onRequestHookHandler,
} from 'fastify';
import { HeadwaterError } from '../rules/errors.ts';
import { Keys, type ApiKey, type Scope } from './keys.ts';
import { Problem, told } from './problem.ts';
import type { Services } from './services.ts';
import { Tally } from './tally.ts';

export const BODY_BYTES_MAX = 1_048_576;
/** A request that arrives slower than this is ended. */
const REQUEST_MS_MAX = 10_000;
const KEEP_ALIVE_MS = 30_000;
const CONNECTIONS_MAX = 2_000;
const IDLE_LOOK_MS = 50;
const PARAMETER_CHARACTERS_MAX = 300;
const STACK_LINES = 6;

declare module 'fastify' {
  interface FastifyInstance {
    /** For `{ onRequest: app.requires('read') }` of a route: its requests carry `key`. */
    requires(scope: Scope): onRequestHookHandler;
  }
  interface FastifyRequest {
    /** Who asks; null on routes that require no key. */
    key: ApiKey | null;
    /** For the tally beside the status: a code, never what was sent (I5). */
    outcome: string | null;
  }
}

export interface AppOptions {
  /** In the log: which listener. */
  name: string;
}

/**
 * An HTTP server with our limits: bodies up to 1 MB, ended when they come too slowly; errors as RFC 9457 problem+json; each answer
 * with an `x-request-id` of ours; API keys. Its log holds routes, statuses and codes, nothing of a request (I5).
 */
export function createApp(services: Services, { name }: AppOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    genReqId: () => randomUUID(),
    routerOptions: { maxParamLength: PARAMETER_CHARACTERS_MAX },
  });
  app.server.maxConnections = CONNECTIONS_MAX;
  const keys = new Keys(services.serve.keys, services.now);
  const tally = new Tally(services.log);
  app.decorateRequest('key', null);
  app.decorateRequest('outcome', null);
  app.decorate('requires', (scope: Scope): onRequestHookHandler => (request, _reply, done) => {
    try {
      request.key = keys.admit(request.headers.authorization, scope);
    } catch (error) {
      done(error instanceof Problem ? error : new Problem(500, 'The key cannot be checked.'));
      return;
    }
    done();
  });
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id).header('cache-control', 'no-store');
    done();
  });
  app.addHook('onResponse', (request, reply, done) => {
    const who = request.key === null ? '' : ` ${request.key.name}`;
    const why = request.outcome === null ? '' : ` ${request.outcome}`;
    tally.add(`${name} ${request.routeOptions.url ?? '?'} ${reply.statusCode}${who}${why}`);
    done();
  });
  app.addHook('preClose', (done) => {
    // A connection whose last answer was under way becomes idle only now, and would be waited for.
    const timer = setInterval(() => app.server.closeIdleConnections(), IDLE_LOOK_MS);
    app.server.once('close', () => clearInterval(timer));
    done();
  });
  app.addHook('onClose', (_app, done) => {
    tally.close();
    done();
  });
  app.setErrorHandler((error, request, reply) => answerError(services, error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    answerError(services, new Problem(404, 'There is nothing here.'), request, reply),
  );
  return app;
}

function answerError(
  { log }: Services,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const { status, retryAfterMs, body } = told(error, request.id);
  if (error instanceof HeadwaterError) request.outcome ??= error.code;
  if (status === 500) log('error', 'a request failed', { request: request.id, ...traceOf(error) });
  if (retryAfterMs !== undefined) reply.header('retry-after', Math.max(1, Math.ceil(retryAfterMs / 1_000)));
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  return reply.code(status).type('application/problem+json').send(body);
}

/** I5: where it failed, and not the message, which may quote a value. */
export function traceOf(error: unknown): Record<string, string> {
  if (typeof error !== 'object' || error === null) return { error: typeof error };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const stack = 'stack' in error && typeof error.stack === 'string' ? error.stack : '';
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  return {
    code,
    at: frames
      .slice(0, STACK_LINES)
      .map((line) => line.trim())
      .join(' < '),
  };
}
