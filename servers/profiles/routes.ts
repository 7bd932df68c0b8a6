import type { FastifyInstance } from 'fastify';
import { mcpRoutes } from '../mcp/routes.ts';
import type { Services } from '../services.ts';
import { findRoutes } from './find-routes.ts';
import { pageRoutes } from './page-routes.ts';
import { readRoutes } from './read-routes.ts';
import { profileService } from './service.ts';
import { storyRoutes } from './story-routes.ts';

/** The profile API: see docs/profile-api.md. The cache is fed from the moment that the app is ready until it is closed. */
export function profileRoutes(app: FastifyInstance, services: Services): void {
  const service = profileService(services);
  app.addHook('onReady', async () => service.start());
  app.addHook('onClose', async () => await service.stop());
  readRoutes(app, service);
  findRoutes(app, service, services);
  storyRoutes(app, service);
  pageRoutes(app, service);
  mcpRoutes(app, services, service);
}
