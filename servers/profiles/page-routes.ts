import type { FastifyInstance } from 'fastify';
import type { z } from 'zod';
import type { apiHealthSchema } from '../../schemas/api/profile.ts';
import { Problem } from '../problem.ts';
import { openApi } from './openapi.ts';
import { PAGE, SCRIPT } from './page.ts';
import { sendJson } from './requests.ts';
import type { ProfileService } from './service.ts';

type Health = z.infer<typeof apiHealthSchema>;

/** Nothing but this server is asked, and nothing runs that it did not send. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";
const HEALTH_MS_MAX = 2_000;

/** Without a key: they hold nothing of any customer. */
export function pageRoutes(app: FastifyInstance, service: ProfileService): void {
  const document = JSON.stringify(openApi(service.entities));
  app.get('/v1/openapi.json', async (_request, reply) => await sendJson(reply, document));
  app.get('/docs', async (_request, reply) =>
    reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', POLICY)
      .header('x-content-type-options', 'nosniff')
      .send(PAGE),
  );
  app.get('/docs/page.js', async (_request, reply) =>
    reply
      .header('content-type', 'text/javascript; charset=utf-8')
      .header('x-content-type-options', 'nosniff')
      .send(SCRIPT),
  );
  app.get('/v1/health', async (_request, reply) => {
    const profiles = await stateOf(service);
    const [cache, current] = [service.cache.isUp() ? 'up' : 'away', service.feeder.isCurrent()] as const;
    const isWell = cache === 'up' && current;
    const health: Health = {
      health: profiles === 'up' ? (isWell ? 'ok' : 'degraded') : 'down',
      profiles,
      cache,
      current,
    };
    if (profiles !== 'up') throw new Problem(503, 'Profiles cannot be read now.', { more: health });
    return await sendJson(reply, JSON.stringify(health));
  });
}

async function stateOf(service: ProfileService): Promise<Health['profiles']> {
  const late = new Promise<Health['profiles']>((resolve) => {
    setTimeout(() => resolve('down'), HEALTH_MS_MAX).unref();
  });
  const asked = service
    .claims()
    .then(async (claims) => {
      await claims.cursor('cache/health');
      return 'up' as const;
    })
    .catch((error: unknown) => (codeOf(error) === 'CONFIG_INVALID' ? ('off' as const) : ('down' as const)));
  return await Promise.race([asked, late]);
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
